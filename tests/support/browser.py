"""A page in headless Chromium, for scripts that act in it, by its debugging protocol."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

_SECONDS = 30.0
_POLL_SECONDS = 0.05
_MILLISECONDS = 8000  # of the page's own clock, which does not wait
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
_LISTENING = re.compile(r"DevTools listening on ws://([\w.]+:\d+)/")


def dumped(program: str, url: str, folder: Path) -> tuple[str, list[str], set[str]]:
    """The page as it is once its scripts have run, what they complained of, what they fetched."""
    log = folder / "net.json"
    done = subprocess.run(
        [
            *(program, *_OPTIONS, "--enable-logging=stderr", "--dump-dom"),
            *(f"--log-net-log={log}", f"--virtual-time-budget={_MILLISECONDS}"),
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


class BrowserPage:
    """A page that is open."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._count = 0

    async def run(self, script: str) -> Any:
        """What a script returns; it may await."""
        self._count += 1
        parameters = {
            "expression": f"(async () => {{ {script} }})()",
            "awaitPromise": True,
            "returnByValue": True,
        }
        await self._socket.send_json(
            {"id": self._count, "method": "Runtime.evaluate", "params": parameters}
        )
        while (answer := await self._socket.receive_json(timeout=_SECONDS)).get(
            "id"
        ) != self._count:
            pass
        assert "exceptionDetails" not in answer["result"], answer
        return answer["result"]["result"].get("value")

    async def until(self, script: str) -> Any:
        """What a script returns, once that is true."""
        async with asyncio.timeout(_SECONDS):
            while not (value := await self.run(script)):
                await asyncio.sleep(_POLL_SECONDS)
            return value


@asynccontextmanager
async def opened(program: str, url: str, folder: Path) -> AsyncIterator[BrowserPage]:
    """The page of a URL; leaving the block ends the browser."""
    log = folder / "browser.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: ASYNC220  # its output goes to a file, nothing waits
            [
                *(program, *_OPTIONS, "--remote-debugging-port=0"),
                *(f"--user-data-dir={folder / 'profile'}", url),
            ],
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(_SECONDS), aiohttp.ClientSession() as session:
            while not (found := _LISTENING.search(log.read_text())):
                assert process.poll() is None, log.read_text()
                await asyncio.sleep(_POLL_SECONDS)
            async with session.get(f"http://{found[1]}/json") as answer:
                pages = [each for each in await answer.json() if each["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"]) as socket:
                yield BrowserPage(socket)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
