"""The page of the API's description in a real browser."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request

import parts

MILLISECONDS = 8000  # of the page's own clock, which does not wait


def open_page(url, folder):
    """The page as it is once its scripts have run, what they complained of, what they fetched."""
    log = folder / "net.json"
    done = subprocess.run(
        [
            *(parts.program("chromium"), "--headless", "--no-sandbox", "--disable-gpu"),
            *("--disable-background-networking", "--enable-logging=stderr", "--dump-dom"),
            *(f"--log-net-log={log}", f"--virtual-time-budget={MILLISECONDS}"),
            *(f"--user-data-dir={folder / 'profile'}", url),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    # The browser itself asks for more, but not on behalf of a page.
    events = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    fetched = {
        params["url"]
        for params in events
        if "url" in params and params.get("initiator", "").startswith("http")
    }
    return done.stdout, complaints, fetched


def test_the_page_shows_every_operation_and_fetches_nothing_from_elsewhere(proxy, tmp_path):
    with urllib.request.urlopen(f"{proxy.url}/openapi.json") as answer:
        document = json.load(answer)
    page, complaints, fetched = open_page(f"{proxy.url}/docs", tmp_path)
    assert complaints == []
    shown = set(re.findall(r'<span class="opblock-summary-operation-id">([^<]*)<', page))
    assert {name.replace("\u200b", "") for name in shown} == {
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    }
    assert len(fetched) == 4
    assert all(url.startswith(f"{proxy.url}/") for url in fetched), fetched


def test_a_page_that_breaks_its_policy_is_noticed(tmp_path):
    """What the test above relies on: the browser tells, and the log has who asked."""
    page = tmp_path / "page.html"
    policy = "default-src 'none'"
    page.write_text(
        f'<meta http-equiv="content-security-policy" content="{policy}"><script>1</script>'
    )
    _, complaints, _ = open_page(page.as_uri(), tmp_path)
    assert any("Content Security Policy" in line for line in complaints)
