"""The domains that a client allows or blocks for web search and web fetch. Pure.

A domain is a host with all hosts below it, and may have a path with one `*` in it:

    example.com              https://example.com/a, https://docs.example.com/
    example.com/blog         https://example.com/blog, https://example.com/blog/1
    example.com/*/articles   https://example.com/news/articles, https://example.com/a/b/articles/1

A page is judged by its own URL, whatever a search service or a redirect makes of the list.
Source: Anthropic API, "Web search tool": domain filtering.
"""

from __future__ import annotations

import re
from posixpath import normpath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from ...errors import InvalidRequestError
from ...fetch.spelling import ascii_host

MAX_DOMAINS: Final = 100
_MAX_DOMAIN: Final = 512  # characters
_HOST: Final = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_HOW: Final = "write a domain as example.com, docs.example.com or example.com/blog"


class DomainRule(msgspec.Struct, frozen=True):
    """One domain: its host in lower case, and what the path has to be like."""

    host: str
    path: re.Pattern[str] | None = None

    def matches(self, host: str, path: str) -> bool:
        """Tells whether a page is within the domain."""
        within = host == self.host or host.endswith(f".{self.host}")
        return within and (self.path is None or self.path.match(path) is not None)


class DomainRules(msgspec.Struct, frozen=True):
    """The domains of one tool definition, as they were written and as they are applied."""

    allowed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    allowed_rules: tuple[DomainRule, ...] = ()
    blocked_rules: tuple[DomainRule, ...] = ()

    def allows(self, url: str) -> bool:
        """Tells whether a page may be used; False for what is no URL."""
        if not self.allowed_rules and not self.blocked_rules:
            return True
        try:
            parts = urlsplit(url)
            host = ascii_host(parts.hostname or "")
        except ValueError:
            return False
        # A browser reads blocked%2eexample as blocked.example; nothing is left to be read twice.
        if ":" not in host and _HOST.fullmatch(host) is None:
            return False
        # As a server reads it: /blog/%2e%2e/other is not within /blog.
        path = normpath("/" + unquote(parts.path).lstrip("/"))
        if self.allowed_rules:
            return any(rule.matches(host, path) for rule in self.allowed_rules)
        return not any(rule.matches(host, path) for rule in self.blocked_rules)


def read_domains(tool: dict[str, Any], path: str) -> DomainRules:
    """Reads the domains of a tool definition. Raises `InvalidRequestError` with the path."""
    allowed = _read(tool, path, "allowed_domains")
    blocked = _read(tool, path, "blocked_domains")
    if allowed and blocked:
        raise InvalidRequestError(
            f"{path}: only one of allowed_domains and blocked_domains can be given; remove the "
            "other one"
        )
    return DomainRules(
        tuple(allowed), tuple(blocked), tuple(allowed.values()), tuple(blocked.values())
    )


def _read(tool: dict[str, Any], path: str, field: str) -> dict[str, DomainRule]:
    given = tool.get(field)
    if given is None:
        return {}
    if not isinstance(given, list) or len(given) > MAX_DOMAINS:
        raise InvalidRequestError(f"{path}.{field}: Expected a list of up to {MAX_DOMAINS} domains")
    return {
        str(domain): _rule(domain, f"{path}.{field}.{index}") for index, domain in enumerate(given)
    }


def _rule(domain: Any, path: str) -> DomainRule:
    if not isinstance(domain, str) or not 0 < len(domain) <= _MAX_DOMAIN or "://" in domain:
        raise InvalidRequestError(f"{path}: no domain, or one with a scheme; {_HOW}")
    host, _, rest = domain.partition("/")
    try:
        host = ascii_host(host)
    except UnicodeError:
        host = ""
    if _HOST.fullmatch(host) is None:
        raise InvalidRequestError(f"{path}: not a valid domain; {_HOW}")
    if rest.count("*") > 1:
        raise InvalidRequestError(f"{path}: only one * is allowed, in the path")
    wanted = normpath("/" + unquote(rest)).strip("/")
    if not wanted:
        return DomainRule(host)
    # A path and all that is below it; * stands for anything.
    pattern = ".*".join(map(re.escape, wanted.split("*")))
    return DomainRule(host, re.compile(f"/{pattern}(?:/|$)", re.DOTALL))
