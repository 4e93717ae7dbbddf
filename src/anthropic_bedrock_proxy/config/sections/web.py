"""Web search and web fetch, run by the proxy."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from typing import Annotated

from .. import rules
from ..schema import Section, Setting


class WebSettings(Section, frozen=True):
    """Web search and web fetch, run by the proxy."""

    enable_web_search: Annotated[
        bool, Setting("ENABLE_WEB_SEARCH", "Serve the web search tool.")
    ] = True
    web_search_provider: Annotated[
        str,
        Setting(
            "WEB_SEARCH_PROVIDER",
            "Who searches; of several the first that answers. auto: Tavily if there is only its "
            "key, else AWS's own search.",
            rule=rules.SEARCHERS,
        ),
    ] = "auto"
    web_search_api_key: Annotated[
        str | None,
        Setting(
            "WEB_SEARCH_API_KEY",
            "Our key at the search provider; of several providers `tavily=KEY,brave=KEY`.",
            rule=rules.SEARCH_KEYS,
            secret=True,
        ),
    ] = None
    web_search_url: Annotated[
        str | None,
        Setting(
            "WEB_SEARCH_URL",
            "Where the search provider is, for searxng and agentcore (a gateway); of several "
            "providers `searxng=URL,brave=URL`.",
            rule=rules.SEARCH_URLS,
            url=True,
        ),
    ] = None
    web_search_region: Annotated[
        str | None,
        Setting(
            "WEB_SEARCH_REGION",
            "Region of AWS's own search; unset: AWS_REGION.",
            rule=rules.REGION,
        ),
    ] = None
    web_search_max_results: Annotated[
        int, Setting("WEB_SEARCH_MAX_RESULTS", "Results per search.", minimum=1)
    ] = 5
    web_search_default_max_uses: Annotated[
        int,
        Setting(
            "WEB_SEARCH_DEFAULT_MAX_USES",
            "Searches per request where the tool sets no max_uses.",
            minimum=1,
        ),
    ] = 10
    web_search_timeout_seconds: Annotated[
        float,
        Setting("WEB_SEARCH_TIMEOUT", "One search at one provider.", minimum=0.05, maximum=120),
    ] = 10.0
    web_search_cache_seconds: Annotated[
        float,
        Setting(
            "WEB_SEARCH_CACHE_SECONDS",
            "How long a key's results are kept for the same search; 0: not at all.",
            minimum=0,
        ),
    ] = 300.0
    web_search_rate_limit: Annotated[
        int,
        Setting(
            "WEB_SEARCH_RATE_LIMIT",
            "Searches of an API key per minute and worker; 0: no limit.",
            minimum=0,
        ),
    ] = 60
    web_search_price: Annotated[
        str,
        Setting("WEB_SEARCH_PRICE", "What a search costs your users, in USD.", rule=rules.USD),
    ] = "0"
    web_search_shortcut: Annotated[
        bool,
        Setting(
            "WEB_SEARCH_SHORTCUT",
            "Claude Code's own search requests are answered from the results, without a second "
            "model call.",
        ),
    ] = True
    enable_web_fetch: Annotated[bool, Setting("ENABLE_WEB_FETCH", "Serve the web fetch tool.")] = (
        True
    )
    web_fetch_default_max_uses: Annotated[
        int,
        Setting(
            "WEB_FETCH_DEFAULT_MAX_USES",
            "Fetches per request where the tool sets no max_uses.",
            minimum=1,
        ),
    ] = 20
    web_fetch_default_max_content_tokens: Annotated[
        int,
        Setting(
            "WEB_FETCH_DEFAULT_MAX_CONTENT_TOKENS",
            "Tokens of one fetched page where the tool sets no max_content_tokens.",
            minimum=1,
        ),
    ] = 100_000
    web_fetch_max_bytes: Annotated[
        int, Setting("WEB_FETCH_MAX_BYTES", "The largest body of one page.", minimum=1)
    ] = 10 * 1024 * 1024
    web_fetch_timeout_seconds: Annotated[
        float,
        Setting(
            "WEB_FETCH_TIMEOUT", "One page, with its redirects, before it is read.", minimum=0.05
        ),
    ] = 20.0
    web_fetch_user_agent: Annotated[
        str | None,
        Setting(
            "WEB_FETCH_USER_AGENT",
            "What the proxy calls itself when it fetches pages; unset: its name and version.",
            rule=rules.KEY,
        ),
    ] = None
    web_fetch_robots: Annotated[
        bool,
        Setting(
            "WEB_FETCH_ROBOTS",
            "Fetch no page that its site's robots.txt forbids to the user agent.",
        ),
    ] = False
    web_fetch_cache_seconds: Annotated[
        float,
        Setting(
            "WEB_FETCH_CACHE_SECONDS",
            "How long a page is kept for the key that it was fetched for; 0: not at all.",
            minimum=0,
        ),
    ] = 900.0

    # What clients keep between turns: `encrypted_content` and `encrypted_index`.
    web_seal_keys: Annotated[
        str | None,
        Setting(
            "WEB_SEAL_KEYS",
            "Encrypts what clients keep of web tools between turns; the first key seals, all open. "
            "Unset: a key that is made once and kept in the store.",
            secret=True,
            rule=rules.SEAL_KEYS,
        ),
    ] = None
    web_seal_days: Annotated[
        float,
        Setting("WEB_SEAL_DAYS", "How long that can be sent back, in days.", minimum=1),
    ] = 30.0
