"""Bad days with real processes: kill -9, SIGTERM in mid-stream, dead upstreams, slow everything.

What the docs promise (docs/reference/bad-days.md) is asserted here.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
from servers import PYTHON, clean_environment, wait_for
from streaming import post

from anthropic_bedrock_proxy.protocol.answer.events import Grammar
from anthropic_bedrock_proxy.protocol.native.sse import SSEDecoder

PACED = {"event_delay_ms": 20, "times": "forever"}


def events(read):
    return SSEDecoder().receive(read.body)


def names(read):
    return [name.decode() for name, _ in events(read)]


def rows(proxy):
    return proxy.command("usage", "--by", "key")["total"]["requests"]


def children(pid):
    text = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in text.stdout.split()]


def running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("workers", ["1", "2"])
def test_kill_9_among_200_requests_loses_no_finished_answer(sim, start, tmp_path, workers):
    sim.script([{**PACED, "event_delay_ms": 5}])
    settings = {"WORKERS": workers, "JOURNAL_INTERVAL": "0.2"}
    proxy = start(tmp_path / "proxy", **settings)
    finished = []

    async def client(number):
        for _ in range(10):
            read = await post(proxy.url, proxy.key, stream=number % 2 == 0)
            if read.status == 200 and (b"message_stop" in read.body or read.complete):
                finished.append(read.headers["request-id"])
            if not read.status:
                return

    async def main():
        clients = [asyncio.create_task(client(number)) for number in range(200)]
        while len(finished) < 250:
            await asyncio.sleep(0.005)
        for pid in [*children(proxy.process.pid), proxy.process.pid]:
            os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*clients)

    asyncio.run(main())
    proxy.process.wait()
    again = start(tmp_path / "proxy", **settings)
    count = wait_for(lambda: (n := rows(again)) >= len(set(finished)) and n, "the rows are there")
    assert len(finished) == len(set(finished))
    assert count >= len(finished)


def test_sigterm_lets_50_live_streams_end_whole(sim, start):
    sim.script([PACED])
    proxy = start(WORKERS="2")

    async def main():
        begun = set()
        tasks = [
            asyncio.create_task(post(proxy.url, proxy.key, on_body=lambda r: begun.add(id(r))))
            for _ in range(50)
        ]
        while len(begun) < 50:
            await asyncio.sleep(0.005)
        proxy.process.send_signal(signal.SIGTERM)
        return await asyncio.gather(*tasks)

    reads = asyncio.run(main())
    assert proxy.process.wait(10) == 0
    for read in reads:
        assert read.complete
        assert names(read)[-1] == "message_stop"
    assert rows(proxy) == 50


@pytest.mark.parametrize("workers", ["1", "2"])
def test_for_the_delay_all_is_served_and_told_to_close_then_the_port_is_closed(sim, start, workers):
    sim.script([{**PACED, "event_delay_ms": 400}])
    proxy = start(SHUTDOWN_DELAY="0.7", WORKERS=workers)

    async def main():
        signalled = asyncio.Event()

        def on_body(_):
            if not signalled.is_set():
                proxy.process.send_signal(signal.SIGTERM)
                signalled.set()

        live = asyncio.create_task(post(proxy.url, proxy.key, on_body=on_body))
        await signalled.wait()
        while await asyncio.to_thread(status_of, f"{proxy.url}/ready") != 503:
            pass  # the signal is on its way
        served = await post(proxy.url, proxy.key, stream=False)
        refused = 0
        while not live.done() and not refused:
            refused = await asyncio.to_thread(status_of, f"{proxy.url}/health") is None
        return served, refused, await live

    served, refused, live = asyncio.run(main())
    assert served.status == 200
    assert served.headers["connection"] == "close"
    assert refused
    assert names(live)[-1] == "message_stop"
    assert proxy.process.wait(10) == 0


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except urllib.error.URLError:
        return None  # nobody listens


def test_a_drain_that_takes_too_long_ends_streams_with_an_error_event(sim, start):
    sim.script([{**PACED, "event_delay_ms": 2000}])
    proxy = start(SHUTDOWN_TIMEOUT="0.2")

    async def main():
        def on_body(_):
            proxy.process.send_signal(signal.SIGTERM)

        return await post(proxy.url, proxy.key, on_body=on_body)

    read = asyncio.run(main())
    assert names(read)[-1] == "error"
    assert proxy.process.wait(15) == 0
    assert rows(proxy) == 1
    assert "in progress (1 answer)" in proxy.logged()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_signal_ends_it_at_once(sim, start, workers):
    sim.script([{**PACED, "event_delay_ms": 2000}])
    proxy = start(SHUTDOWN_DELAY="60", WORKERS=workers)

    async def main():
        seen = 0

        def on_body(_):
            nonlocal seen
            seen += 1
            proxy.process.send_signal(signal.SIGTERM)

        task = asyncio.create_task(post(proxy.url, proxy.key, on_body=on_body))
        while not seen:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(wait_for, lambda: status_of(f"{proxy.url}/ready") == 503, "drain")
        proxy.process.send_signal(signal.SIGTERM)
        await task

    asyncio.run(main())
    assert proxy.process.wait(10) == 0


def test_a_dead_worker_is_replaced_and_workers_follow_a_dead_parent(sim, start):
    proxy = start(WORKERS="2")
    wait_for(lambda: len(children(proxy.process.pid)) == 2, "two workers")
    workers = children(proxy.process.pid)
    os.kill(workers[0], signal.SIGKILL)
    wait_for(lambda: len(set(children(proxy.process.pid)) - {workers[0]}) == 2, "another worker")
    survivors = children(proxy.process.pid)
    wait_for(lambda: status_of(f"{proxy.url}/health") == 200, "it serves")
    proxy.process.kill()
    proxy.process.wait()
    wait_for(lambda: not any(running(pid) for pid in survivors), "the workers are gone")


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1])
def test_a_signal_while_workers_are_forked_reaches_all_of_them(tmp_path, delay):
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(
            [PYTHON, "-m", "anthropic_bedrock_proxy", "serve", "--port", "0", "--workers", "12"],
            cwd=tmp_path,
            env=clean_environment(tmp_path, AWS_BEARER_TOKEN_BEDROCK="t"),
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: "Claude Code" in (tmp_path / "out").read_text(), "the banner", 20)
        time.sleep(delay)  # into the middle of the forks, wherever that is on this machine
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_one_byte_chunks_from_the_upstream_change_nothing(sim, proxy):
    sim.script([{"reply": {"content": REPLY}}, {"reply": {"content": REPLY}, "chunk_bytes": 1}])

    async def main():
        return [await post(proxy.url, proxy.key) for _ in range(2)]

    whole, bytewise = asyncio.run(main())
    assert comparable(whole) == comparable(bytewise)
    assert len(events(whole)) > 6


REPLY = [
    {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"},
    {"type": "text", "text": "It is 18 °C in Paris."},
    {"type": "tool_use", "id": "toolu_1", "name": "t", "input": {"city": "Paris"}},
]


def comparable(read):
    """The events without the message's own id."""
    return [data for _, data in events(read)[1:]]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "cut", "after_events": 3, "at_byte": 10, "reset": True},
        {"kind": "cut", "after_events": 3, "at_byte": 0, "reset": False},
        {"kind": "bad_crc", "at_event": 4},
        {"kind": "garbage", "after_events": 2, "length": 50},
        {"kind": "exception", "after_events": 2, "type": "throttlingException", "message": "no"},
        {"kind": "exception", "after_events": 5, "type": "modelStreamErrorException",
         "message": "no"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('reset', '')}{fault.get('type', '')}",
)  # fmt: skip
def test_whatever_breaks_the_stream_it_ends_in_an_error_event(sim, proxy, fault):
    sim.script([{"faults": [fault]}])
    read = asyncio.run(post(proxy.url, proxy.key))
    assert read.status == 200
    assert read.complete
    assert names(read)[-1] == "error"
    grammar = Grammar()
    for event in events(read):
        grammar.feed(event)
    grammar.end()


def test_silence_is_filled_with_pings_and_bounded(sim, start):
    sim.script([{"faults": [{"kind": "silence", "after_events": 2, "seconds": 30}]}])
    proxy = start(PING_INTERVAL="0.1", UPSTREAM_IDLE_TIMEOUT="0.5")
    read = asyncio.run(post(proxy.url, proxy.key))
    assert names(read).count("ping") >= 2
    assert names(read)[-1] == "error"
    assert b"timeout_error" in events(read)[-1][1]


def test_a_client_that_leaves_stops_the_model_and_pays_for_what_it_saw(sim, start):
    sim.script([{**PACED, "event_delay_ms": 30}])
    proxy = start()

    async def main():
        reader, writer = await asyncio.open_connection(
            *proxy.url.removeprefix("http://").split(":")
        )
        body = json.dumps(
            {
                "model": "claude-haiku-4-5",
                "max_tokens": 50,
                "stream": True,
                "messages": [{"role": "user", "content": "a b c d e f g h i j k l m n"}],
            }
        )
        head = f"POST /v1/messages HTTP/1.1\r\nhost: a\r\nx-api-key: {proxy.key}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n{body}".encode())
        await reader.readuntil(b"text_delta")
        writer.transport.abort()

    asyncio.run(main())
    wait_for(lambda: sim.stats()["outcomes"].get("aborted") == 1, "the simulator sees it end")
    total = wait_for(
        lambda: (t := proxy.command("usage")["total"])["requests"] and t, "the row is there"
    )
    assert total["requests"] == 1
    assert total["input_tokens"] > 0
    assert total["output_tokens"] > 0


def test_an_upstream_that_is_not_there(start):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        proxy = start(
            BEDROCK_ENDPOINT_URL=f"http://127.0.0.1:{nobody.getsockname()[1]}",
            UPSTREAM_MAX_ATTEMPTS="2",
        )
        read = asyncio.run(post(proxy.url, proxy.key))
    assert read.status == 503
    assert json.loads(read.body)["error"]["type"] == "api_error"


def test_an_upstream_that_accepts_and_says_nothing(start):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        proxy = start(
            BEDROCK_ENDPOINT_URL=f"http://127.0.0.1:{silent.getsockname()[1]}",
            UPSTREAM_FIRST_BYTE_TIMEOUT="0.2",
            UPSTREAM_MAX_ATTEMPTS="1",
        )
        read = asyncio.run(post(proxy.url, proxy.key))
    assert read.status == 504


def test_wrong_aws_credentials_are_the_operator_s_business(sim, start):
    proxy = start(AWS_SECRET_ACCESS_KEY="wrong")
    read = asyncio.run(post(proxy.url, proxy.key))
    assert read.status == 503
    assert "AWS credentials" in json.loads(read.body)["error"]["message"]


def test_throttling_is_waited_out(sim, proxy):
    throttled = {"error": {"type": "ThrottlingException", "message": "Too many tokens"}, "times": 2}
    sim.script([throttled])
    read = asyncio.run(post(proxy.url, proxy.key))
    assert names(read)[-1] == "message_stop"
    assert [entry["status"] for entry in sim.requests()] == [429, 429, 200]


def test_a_store_that_goes_away_is_survived(sim, start, tmp_path):
    folder = tmp_path / "proxy"
    proxy = start(folder, KEY_CACHE_TTL="0.05", JOURNAL_INTERVAL="0.1")

    async def ask():
        return (await post(proxy.url, proxy.key, stream=False)).status

    assert asyncio.run(ask()) == 200
    wait_for(lambda: rows(proxy) == 1, "the first row")
    hold = subprocess.Popen(
        [PYTHON, "-c", HOLD, str(folder / "proxy.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_environment(folder),
    )
    assert hold.stdout.readline() == b"held\n"
    assert [asyncio.run(ask()) for _ in range(20)] == [200] * 20
    hold.communicate(b"\n")
    wait_for(lambda: rows(proxy) == 21, "every row is there", 20)


# Another process that holds SQLite's write lock until told to let go.
HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
db.execute("ROLLBACK")
db.close()
"""


def test_no_credentials_is_said_at_once_with_the_way_out(tmp_path):
    done = subprocess.run(
        [PYTHON, "-m", "anthropic_bedrock_proxy", "serve", "--port", "0"],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "AWS_PROFILE" in done.stderr
    assert "--demo" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_port_that_is_taken_is_an_error_also_with_workers(proxy, tmp_path):
    port = proxy.url.rpartition(":")[2]
    for workers in ("1", "2"):
        done = subprocess.run(
            [PYTHON, "-m", "anthropic_bedrock_proxy", "serve", "--demo", "--port", port,
             "--workers", workers],
            cwd=tmp_path,
            env=clean_environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "Address already in use" in done.stderr


def test_the_log_never_holds_prompts_or_secrets(sim, start):
    proxy = start(LOG_LEVEL="DEBUG")
    secret_words = "the quick brown fox is confidential"
    asyncio.run(post(proxy.url, proxy.key, text=secret_words))
    asyncio.run(post(proxy.url, proxy.key, text=secret_words, path="/v1/nothing"))
    asyncio.run(post(proxy.url, "sk-wrong-secret", text=secret_words))
    wait_for(lambda: proxy.logged().count('"access"') == 3, "the access log is written")
    for word in ("confidential", proxy.key, "sk-wrong-secret", "wJalrXUtnFEMI"):
        assert word not in proxy.logged()
