"""Pages out of settings: the rules of all fetches, but for those of their own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from types import SimpleNamespace

import pytest
from fakeserver import ok, serving

from anthropic_bedrock_proxy.app.gateway import make_toolset
from anthropic_bedrock_proxy.app.sandbox import OnDemandSandbox
from anthropic_bedrock_proxy.app.web_pages import OnDemandPages, make_fetch_options, page_options
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.fetch.base import NotAllowedError
from anthropic_bedrock_proxy.fetch.fetcher import USER_AGENT


@pytest.fixture
def settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def load(**given):
        return load_settings(None, {name.upper(): value for name, value in given.items()})

    return load


def test_pages_have_options_of_their_own(settings):
    options = page_options(settings(fetch_max_bytes="5", fetch_timeout="6"))
    assert (options.max_bytes, options.timeout_seconds) == (10 * 1024 * 1024, 20.0)
    assert options.allow_http
    assert options.allow_downgrade
    assert not options.robots
    assert options.user_agent == USER_AGENT


def test_pages_have_the_rules_of_all_fetches(settings):
    options = page_options(
        settings(
            fetch_blocked_hosts="a.example",
            fetch_allowed_hosts="*.b.example",
            fetch_max_redirects="1",
            web_fetch_user_agent="curious/1.0 (+https://b.example)",
            web_fetch_robots="true",
        )
    )
    assert options.blocked_hosts == ("a.example",)
    assert options.allowed_hosts == ("*.b.example",)
    assert options.max_redirects == 1
    assert not options.allow_private
    assert options.robots
    assert options.user_agent == "curious/1.0 (+https://b.example)"


@pytest.mark.parametrize("name", ["a\r\nx: y", "naïve", ""])
def test_a_user_agent_that_is_no_header(settings, name):
    if name:
        with pytest.raises(Exception, match="WEB_FETCH_USER_AGENT"):
            settings(web_fetch_user_agent=name)
    else:
        assert page_options(settings(web_fetch_user_agent=name)).user_agent == USER_AGENT


def test_a_page_is_read_and_kept(settings):
    async def main():
        async with serving(ok(b"<title>t</title><p>x", b"content-type: text/html\r\n")) as server:
            pages = OnDemandPages(
                settings(fetch_allow_private="true", fetch_allowed_ports=str(server.port))
            )
            url = f"http://127.0.0.1:{server.port}/a"
            first = await pages.read(url, key="k")
            assert (first.title, first.text, first.url) == ("t", "x", url)
            assert await pages.read(url, key="k") == first
            assert len(server.requests) == 1
            again = await pages.read(url, key="k", fresh=True)
            assert again.retrieved_at > first.retrieved_at
            await pages.close()

    asyncio.run(main())


def test_inner_pages_stay_inside(settings):
    async def main():
        pages = OnDemandPages(settings())
        with pytest.raises(NotAllowedError):
            await pages.read("http://127.0.0.1/", key="k")
        await pages.close()

    asyncio.run(main())


@pytest.mark.parametrize("enabled", [True, False])
def test_the_tool_is_served_where_it_is_enabled(settings, enabled):
    made = settings(
        enable_web_fetch=str(enabled).lower(),
        web_fetch_default_max_uses="3",
        web_fetch_default_max_content_tokens="400",
    )
    searcher, seals = SimpleNamespace(enabled=False), None
    pages = OnDemandPages(made)
    assert pages.enabled is enabled
    served = pages if pages.enabled else None
    toolset = make_toolset(made, OnDemandSandbox(made, None), searcher, seals, served)
    tool = toolset.claiming("web_fetch_20250910")
    assert (tool is not None) is enabled
    options = make_fetch_options(made)
    assert (options.default_max_uses, options.default_max_tokens) == (3, 400)


NOTHING_MADE = """
import asyncio, sys
from anthropic_bedrock_proxy.app.web_pages import OnDemandPages
from anthropic_bedrock_proxy.config import load_settings
asyncio.run(OnDemandPages(load_settings(None, {})).close())
print([name for name in sys.modules if name.endswith(("fetch.fetcher", "reading.reader"))])
"""


def test_nothing_is_made_before_it_is_needed():
    done = subprocess.run(
        [sys.executable, "-c", NOTHING_MADE], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
