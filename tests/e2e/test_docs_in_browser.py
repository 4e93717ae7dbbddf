"""The page of the API's description in a real browser."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request

import parts
from browser import dumped, opened

SHOWN = "return document.querySelectorAll('.opblock').length > 0"
# A key is typed in as people do it: React hears of nothing but events.
AUTHORIZE = """
document.querySelector(".btn.authorize").click();
await new Promise(requestAnimationFrame);
const input = document.querySelector(".auth-container input");
const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
set.call(input, KEY);
input.dispatchEvent(new Event("input", {bubbles: true}));
await new Promise(requestAnimationFrame);
document.querySelector(".auth-container .auth-btn-wrapper .authorize").click();
"""
OPEN = "document.querySelector('.opblock-post .opblock-summary-control').click()"  # the first
CLICK = "const one = document.querySelector('BUTTON'); if (one) one.click(); return Boolean(one)"
STATUS = (
    "return document.querySelector('.live-responses-table tbody .response-col_status')?.innerText"
)
BODY = "return document.querySelector('.live-responses-table tbody .microlight')?.innerText"


def test_the_page_shows_every_operation_and_fetches_nothing_from_elsewhere(proxy, tmp_path):
    with urllib.request.urlopen(f"{proxy.url}/openapi.json") as answer:
        document = json.load(answer)
    page, complaints, fetched = dumped(parts.program("chromium"), f"{proxy.url}/docs", tmp_path)
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
    _, complaints, _ = dumped(parts.program("chromium"), page.as_uri(), tmp_path)
    assert any("Content Security Policy" in line for line in complaints)


async def try_out(url, key, folder):
    """The status and the body that the page shows for the example of a message."""
    async with opened(parts.program("chromium"), f"{url}/docs", folder) as page:
        await page.until(SHOWN)
        if key is not None:
            await page.run(AUTHORIZE.replace("KEY", json.dumps(key)))
        await page.run(OPEN)
        for button in (".try-out__btn", ".btn.execute"):
            await page.until(CLICK.replace("BUTTON", button))
        return await page.until(STATUS), await page.until(BODY)


def test_the_example_is_answered_with_a_key_that_was_typed_in(proxy, sim, tmp_path):
    status, body = asyncio.run(try_out(proxy.url, proxy.key, tmp_path))
    assert status.split()[0] == "200"
    assert json.loads(body)["type"] == "message"


def test_without_a_key_the_page_shows_the_refusal(proxy, tmp_path):
    status, body = asyncio.run(try_out(proxy.url, None, tmp_path))
    assert status.split()[0] == "401"
    assert json.loads(body)["error"]["type"] == "authentication_error"
