"""A proxy without the extra `web`: it starts, serves the rest, and says what is missing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from anthropic_bedrock_proxy.app.web_extra import lack_of

# Modules that are not installed; a process of its own, because others have imported them here.
PROGRAM = """
import asyncio, json, sys
for name in sys.argv[1:]:
    sys.modules[name] = None
from anthropic_bedrock_proxy.app.build import _server_tools, check
from anthropic_bedrock_proxy.app.gateway import make_toolset
from anthropic_bedrock_proxy.app.sandbox import OnDemandSandbox
from anthropic_bedrock_proxy.app.search import OnDemandSearcher
from anthropic_bedrock_proxy.app.seals import OnDemandSeals
from anthropic_bedrock_proxy.app.web_pages import OnDemandPages
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.store.memory.store import MemoryStore

given = {"WEB_SEARCH_PROVIDER": "searxng", "WEB_SEARCH_URL": "http://127.0.0.1:1"}
given |= {"ENABLE_PROGRAMMATIC_TOOL_CALLING": "no", "ENABLE_STANDALONE_CODE_EXECUTION": "no"}
settings = load_settings(None, given)
check(settings)
searcher, pages = OnDemandSearcher(settings, lambda: None), OnDemandPages(settings)
sandbox = OnDemandSandbox(settings, None)
seals = OnDemandSeals(settings, MemoryStore().kept_secrets)
tools = make_toolset(settings, sandbox, searcher, seals, pages if pages.enabled else None)
(route,) = searcher.health().routes()
print(json.dumps({
    "claimed": [k for k in ("web_search_20250305", "web_fetch_20250910") if tools.claiming(k)],
    "listed": _server_tools(sandbox, searcher, pages),
    "health": json.loads(asyncio.run(route.methods["GET"](None)).body),
}))
"""


def without(*packages):
    command = [sys.executable, "-c", PROGRAM, *packages]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_both_tools_are_served_where_everything_is_installed():
    assert lack_of("web_search") == lack_of("web_fetch") == ""
    found = without()
    assert found["claimed"] == ["web_search_20250305", "web_fetch_20250910"]
    assert found["listed"] == ["web_search", "web_fetch"]
    assert found["health"]["status"] == "idle"


def test_without_what_seals_there_is_no_search_and_the_reason_is_told():
    found = without("cryptography")
    assert found["claimed"] == ["web_fetch_20250910"]
    assert found["listed"] == ["web_fetch"]
    assert (found["health"]["enabled"], found["health"]["status"]) == (False, "disabled")
    assert "web_search needs the extra `web`" in found["health"]["reason"]
    assert "docs/how-to/install.md" in found["health"]["reason"]


def test_without_what_reads_pages_there_is_no_fetch():
    found = without("trafilatura")
    assert found["claimed"] == ["web_search_20250305"]
    assert found["listed"] == ["web_search"]
    assert found["health"]["enabled"]


@pytest.mark.parametrize("package", ["cryptography", "trafilatura"])
def test_the_package_is_looked_for_and_not_imported(package):
    program = (
        "import sys\n"
        "from anthropic_bedrock_proxy.app.web_extra import lack_of\n"
        "assert lack_of('web_search') == lack_of('web_fetch') == ''\n"
        f"print({package!r} in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"False\n"
