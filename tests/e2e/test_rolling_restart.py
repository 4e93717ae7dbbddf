"""Three proxies behind a balancer are restarted one by one, under load: nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter

import balancers
import pytest
from ports import free_port
from servers import MASTER_KEY, start_proxy
from streaming import MODEL, Read, read_answer

CLIENTS = 12  # of each kind
PACED = {"event_delay_ms": 15, "times": "forever"}


class Client:
    """Sends one request after the other on a connection, until that is closed or says so.

    As pools of clients do, it looks for the end of a connection before it uses it again, and it
    tries nothing twice.
    """

    def __init__(self, port, *, stream, pause_seconds):
        document = {
            "model": MODEL,
            "max_tokens": 200,
            "stream": stream,
            "messages": [{"role": "user", "content": "Hello"}],
        }
        body = json.dumps(document).encode()
        head = (
            f"POST /v1/messages HTTP/1.1\r\nhost: proxy\r\nx-api-key: {MASTER_KEY}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self._port, self._request = port, head.encode() + body
        self._pause_seconds = pause_seconds
        self._connection = None
        self._stream = stream

    async def run(self, outcomes, done):
        draw = random.Random(id(self))
        while not done.is_set():
            outcomes[await self._ask()] += 1
            await asyncio.sleep(draw.uniform(0, self._pause_seconds))
        self._close()

    async def _ask(self):
        read = Read()
        if self._connection is not None and self._connection[0].at_eof():
            self._close()
        try:
            if self._connection is None:
                self._connection = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._connection
            writer.write(self._request)
            await read_answer(reader, read, None)
        except (OSError, asyncio.IncompleteReadError) as error:
            self._close()
            return f"lost: {type(error).__name__} after {read.status}"
        if not read.complete or read.headers.get("connection") == "close":
            self._close()
        if read.status != 200:
            return f"lost: {read.status}"
        whole = not self._stream or read.body.rstrip().endswith(b'"message_stop"}')
        return "whole" if whole else "lost: cut"

    def _close(self):
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None


@pytest.mark.parametrize(
    ("balancer", "workers"),
    [
        (balancers.tcp, "1"),
        (balancers.tcp, "2"),
        (balancers.haproxy, "1"),
        (balancers.nginx, "2"),
    ],
)
def test_a_rolling_restart_loses_nothing(sim, simulator, tmp_path, balancer, workers):
    sim.script([PACED])
    ports = [free_port() for _ in range(3)]
    settings = {"SHUTDOWN_DELAY": "1", "WORKERS": workers}

    def begin(port):
        folder = tmp_path / str(port)
        return start_proxy(folder, simulator, make_key=False, port=port, **settings)

    async def main(proxies):
        whole, streams, done = Counter(), Counter(), asyncio.Event()
        async with balancer(ports, tmp_path) as port:
            clients = [
                Client(port, stream=stream, pause_seconds=pause).run(counts, done)
                for stream, counts in ((False, whole), (True, streams))
                for pause in (0.0, 0.5)
                for _ in range(CLIENTS // 2)
            ]
            running = asyncio.gather(*clients)
            for number, port_of_it in enumerate(ports):
                await asyncio.sleep(1)
                assert await asyncio.to_thread(proxies[number].stop) == 0
                proxies[number] = await asyncio.to_thread(begin, port_of_it)
            await asyncio.sleep(1)
            done.set()
            await running
        return whole, streams

    with contextlib.ExitStack() as stack:
        proxies = [begin(port) for port in ports]
        stack.callback(lambda: [proxy.stop() for proxy in proxies])
        whole, streams = asyncio.run(main(proxies))
    print(f"whole answers {dict(whole)}, streams {dict(streams)}")
    assert set(whole) == set(streams) == {"whole"}, (whole, streams)
    assert min(whole["whole"], streams["whole"]) > 100
