"""The corpus through load balancers that share connections: nobody speaks with another's key.

An attacker without a key sends a case, and behind it the beginning of a request that waits for the
victim's to become its own. Then the victim asks for something harmless with an administrator's key.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
from collections import Counter
from dataclasses import dataclass

import h11
import pytest
from balancer import Balancer, Pool, Verbatim
from corpus import Case, Recorder, load

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.server import Server

CASES = load()
TOGETHER = 24
KEY = b"administrator"
POISON = b"DELETE /smuggled HTTP/1.1\r\nHost: x\r\nA: "
QUIET_SECONDS = 0.006
# Of this process alone: clients that others left behind come back to ports that once were theirs.
HOST = f"127.77.{os.getpid() >> 8 & 127}.{os.getpid() & 127 or 1}"

BALANCERS = {
    "passes upgrades and chunks": lambda address: Balancer(
        address, passes_upgrades=True, merges=False
    ),
    "passes upgrades, merges": lambda address: Balancer(address, passes_upgrades=True, merges=True),
    "strips upgrades, passes chunks": lambda address: Balancer(
        address, passes_upgrades=False, merges=False
    ),
    "verbatim, by lengths": lambda address: Verbatim(address, lengths_first=True),
    "verbatim, by chunks": lambda address: Verbatim(address, lengths_first=False),
}


@dataclass
class Scene:
    """A server, a balancer before it, an attacker and a victim."""

    case: Case
    recorder: Recorder
    pool: Pool
    address: tuple[str, int] = ("", 0)
    attacker_read: bytes = b""
    victim_read: tuple[int, bytes] = (0, b"")
    shared: bool = False  # the victim's request went over a connection that the attacker had used

    async def play(self) -> None:
        """Attacks, and lets the victim ask."""
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(self.case.sent + POISON)
        await self._quiet()
        used = {id(one) for one in self.pool.free}
        self.victim_read = await asyncio.wait_for(self._ask(), 10)
        self.shared = any(id(one) in used and one.served > 1 for one in self.pool.opened)
        with contextlib.suppress(OSError):
            writer.write_eof()
        await self._quiet()
        await self.pool.stop()
        with contextlib.suppress(OSError):
            self.attacker_read = await reader.read()
        await _closed(writer)

    async def _quiet(self) -> None:
        quiet, steps = 0, -1
        while quiet < 3:
            quiet = quiet + 1 if steps == self.pool.steps else 0
            steps = self.pool.steps
            await asyncio.sleep(QUIET_SECONDS)

    async def _ask(self) -> tuple[int, bytes]:
        reader, writer = await asyncio.open_connection(*self.address)
        wire = h11.Connection(h11.CLIENT)
        headers = [("host", "x"), ("x-api-key", KEY)]
        writer.write(wire.send(h11.Request(method="GET", target="/victim", headers=headers)))
        writer.write(wire.send(h11.EndOfMessage()))
        status, body = 0, b""
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                wire.receive_data(await reader.read(1 << 16))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                assert isinstance(event, h11.EndOfMessage), event
                await _closed(writer)
                return status, body


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def played(case: Case, make_pool) -> Scene:
    """The scene after its end."""
    recorder = Recorder()
    server = Server(recorder, ConnectionBounds())
    listener = socket.create_server((HOST, 0))
    await server.start([listener])
    scene = Scene(case, recorder, make_pool(listener.getsockname()))
    scene.address = await scene.pool.start()
    try:
        await scene.play()
    finally:
        await server.stop(timeout_seconds=0.0, last_words_seconds=0.1)
        await asyncio.sleep(0)  # connection_lost
    return scene


async def all_played(make_pool) -> list[Scene]:
    """Every case, some at a time."""
    places = asyncio.Semaphore(TOGETHER)

    async def one(case: Case) -> Scene:
        async with places:
            return await played(case, make_pool)

    return await asyncio.gather(*map(one, CASES))


def path_of(target):
    return re.sub(rb"^https?://[^/]*", b"", target).partition(b"?")[0] or b"/"


@pytest.mark.parametrize("make_pool", BALANCERS.values(), ids=BALANCERS.keys())
def test_a_victim_behind_a_balancer_gets_its_own_answer_and_lends_nobody_its_key(make_pool):
    scenes = asyncio.run(all_played(make_pool))
    for scene in scenes:
        name = f"{scene.case.kind}: {scene.case.name}"
        status, body = scene.victim_read
        assert status == 200, name
        assert json.loads(body) == {"method": "GET", "path": "/victim"}, name
        seen = scene.recorder.seen
        with_key = [one for one in seen if KEY in b"".join(one.headers.values()) + one.body]
        assert [(one.method, one.target, one.body) for one in with_key] == [("GET", "/victim", b"")]
        unknown = Counter((one.method.encode(), one.head.raw_path) for one in seen)
        unknown.subtract((method, path_of(target)) for method, target in scene.pool.forwarded)
        assert max(unknown.values()) == 0, (name, unknown)  # no request but those that were sent on
        assert not [one for one in seen if any(n.startswith(b"x-trailer") for n in one.headers)]
        assert b"victim" not in scene.attacker_read, name
    assert sum(scene.shared for scene in scenes) > 30  # else nothing was put to the test
