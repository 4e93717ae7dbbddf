"""The parent of several workers: it replaces who leaves or stands still, and tells systemd."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
from servers import wait_for
from streaming import post

from anthropic_bedrock_proxy.protocol.native.sse import SSEDecoder


def children(pid):
    text = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return {int(line) for line in text.stdout.split()}


def last_event(read):
    return SSEDecoder().receive(read.body)[-1][0]


class Manager:
    """What systemd hears."""

    def __init__(self, folder):
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._socket.settimeout(10)

    def hears(self):
        return self._socket.recv(4096).decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()


@pytest.fixture
def manager(tmp_path):
    with Manager(tmp_path) as one:
        yield one


async def twenty_streams(proxy):
    """Returns streams whose answers have begun."""
    begun = set()
    streams = [
        asyncio.create_task(post(proxy.url, proxy.key, on_body=lambda r: begun.add(id(r))))
        for _ in range(20)
    ]
    while len(begun) < 20:
        await asyncio.sleep(0.01)
    return streams


def test_a_worker_that_leaves_ends_its_answers_and_is_replaced_at_once(sim, start):
    sim.script([{"event_delay_ms": 400, "times": "forever"}])
    proxy = start(WORKERS="2", SHUTDOWN_DELAY="60")
    workers = wait_for(lambda: len(w := children(proxy.process.pid)) == 2 and w, "two workers")

    async def main():
        streams = await twenty_streams(proxy)
        for pid in workers:
            os.kill(pid, signal.SIGTERM)

        def two_more():
            with urllib.request.urlopen(f"{proxy.url}/ready", timeout=5) as answer:
                assert answer.status == 200  # for balancers it is the same proxy
            return len(w := children(proxy.process.pid)) == 4 and w

        others = await asyncio.to_thread(wait_for, two_more, "two more")
        assert not any(stream.done() for stream in streams)
        answers = await asyncio.gather(
            *(post(proxy.url, proxy.key, stream=False) for _ in range(20))
        )
        return others - workers, answers, await asyncio.gather(*streams)

    others, answers, streams = asyncio.run(main())
    assert {answer.status for answer in answers} == {200}
    assert {last_event(read) for read in streams} == {b"message_stop"}
    wait_for(lambda: children(proxy.process.pid) == others, "those that left have gone", 20)
    for _ in range(2):  # without the delay
        proxy.process.terminate()
        time.sleep(0.2)
    assert proxy.process.wait(10) == 0


@pytest.mark.parametrize("parent", ["first", "last"])
def test_a_signal_that_reaches_every_process_is_one_signal(sim, start, parent):
    """So systemd does it, unless KillMode says otherwise, and so does a terminal."""
    sim.script([{"event_delay_ms": 100, "times": "forever"}])
    proxy = start(WORKERS="2", SHUTDOWN_DELAY="1.5")
    workers = wait_for(lambda: len(w := children(proxy.process.pid)) == 2 and w, "two workers")

    async def main():
        streams = await twenty_streams(proxy)
        everybody = [proxy.process.pid, *workers]
        for pid in everybody if parent == "first" else reversed(everybody):
            os.kill(pid, signal.SIGTERM)
            await asyncio.sleep(0.1)  # the parent has told them
        await asyncio.sleep(0.5)
        served = await post(proxy.url, proxy.key, stream=False)  # for the delay
        return served.status, await asyncio.gather(*streams)

    served, streams = asyncio.run(main())
    assert served == 200
    assert {last_event(read) for read in streams} == {b"message_stop"}
    assert proxy.process.wait(10) == 0


@pytest.mark.parametrize("workers", ["1", "3"])
def test_systemd_hears_that_all_serve_that_they_live_and_that_they_stop(start, manager, workers):
    pid = {} if workers == "3" else {"WATCHDOG_PID": "1"}  # somebody else's
    environment = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1000000", **pid}
    proxy = start(make_key=False, WORKERS=workers, SHUTDOWN_TIMEOUT="7", **environment)
    heard = manager.hears()
    while heard == "WATCHDOG=1":  # of the parent, before its workers serve
        heard = manager.hears()
    assert heard == "READY=1"
    if not pid:
        assert manager.hears() == "WATCHDOG=1"
    proxy.process.send_signal(signal.SIGTERM)
    while heard in ("READY=1", "WATCHDOG=1"):
        heard = manager.hears()
    assert heard == "STOPPING=1\nEXTEND_TIMEOUT_USEC=7000000"
    assert proxy.process.wait(10) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_service_manager_that_reads_nothing_stops_nothing(start, tmp_path, workers):
    """Its queue is full at once: who writes to it waits, unless it refuses to."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as writer,
    ):
        full.bind(str(tmp_path / "full"))
        writer.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                writer.sendto(b"X=1", str(tmp_path / "full"))
        environment = {"NOTIFY_SOCKET": str(tmp_path / "full"), "WATCHDOG_USEC": "2000000"}
        proxy = start(make_key=False, WORKERS=workers, **environment)
        with urllib.request.urlopen(f"{proxy.url}/health", timeout=5) as answer:
            assert answer.status == 200
        proxy.process.terminate()
        assert proxy.process.wait(10) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("microseconds", [2**64 - 1, 10**30])
def test_a_watchdog_that_never_barks_is_none(start, workers, microseconds):
    proxy = start(make_key=False, WORKERS=workers, WATCHDOG_USEC=str(microseconds))
    with urllib.request.urlopen(f"{proxy.url}/health", timeout=5) as answer:
        assert answer.status == 200
    assert proxy.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ready_comes_when_the_port_answers_and_not_before(start, manager, workers):
    proxy = start(make_key=False, WORKERS=workers, NOTIFY_SOCKET=str(manager.path))
    assert manager.hears() == "READY=1"
    with urllib.request.urlopen(f"{proxy.url}/ready", timeout=0.5) as answer:
        assert answer.status == 200


def test_a_worker_that_stands_still_is_ended_and_replaced(start, manager):
    proxy = start(
        make_key=False,
        WORKERS="2",
        NOTIFY_SOCKET=str(manager.path),
        WATCHDOG_USEC="1000000",
    )
    while manager.hears() != "READY=1":
        pass
    stuck, other = children(proxy.process.pid)
    os.kill(stuck, signal.SIGSTOP)
    wait_for(lambda: stuck not in children(proxy.process.pid), "it is gone")
    assert other in wait_for(lambda: len(w := children(proxy.process.pid)) == 2 and w, "two")
    assert "stands still" in proxy.logged()
    proxy.process.send_signal(signal.SIGSTOP)  # the machine pauses, and nobody is to blame
    two = children(proxy.process.pid)
    for pid in two:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1.5)
    for pid in (proxy.process.pid, *two):
        os.kill(pid, signal.SIGCONT)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert manager.hears() == "WATCHDOG=1"
    assert children(proxy.process.pid) == two
    assert proxy.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_sighup_cuts_nothing_and_says_when_it_is_done(sim, start, manager, workers):
    sim.script([{"event_delay_ms": 100, "times": "forever"}])
    proxy = start(WORKERS=workers, NOTIFY_SOCKET=str(manager.path))
    assert manager.hears() == "READY=1"

    async def main():
        stream = asyncio.create_task(post(proxy.url, proxy.key))
        await asyncio.sleep(0.3)
        proxy.process.send_signal(signal.SIGHUP)
        return await stream

    assert last_event(asyncio.run(main())) == b"message_stop"
    assert manager.hears().startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert manager.hears() == "READY=1"
    assert proxy.stop() == 0


def test_another_worker_makes_nothing_where_the_data_were_moved_away(start, tmp_path):
    data, away = tmp_path / "data", tmp_path / "away"
    proxy = start(WORKERS="2", STORE_URL=f"sqlite:///{data}/proxy.db")
    wait_for(lambda: len(children(proxy.process.pid)) == 2, "two workers")
    before = children(proxy.process.pid)
    data.rename(away)
    for worker in before:
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: len(children(proxy.process.pid) - before) == 2, "two other workers")
    wait_for(lambda: proxy.logged().count("the store does not answer yet") == 2, "they looked")
    assert not data.exists()
    away.rename(data)
    wait_for(lambda: asyncio.run(post(proxy.url, proxy.key)).status == 200, "the store is back")
