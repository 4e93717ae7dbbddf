"""Logs of real processes on bad days: of every request there is a line, whatever ends first."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import urllib.error
import urllib.request

import pytest
from collector import Collector
from servers import wait_for
from streaming import post

from anthropic_bedrock_proxy.protocol.native.sse import SSEDecoder


def access_lines(*files):
    """The access lines of these files, by their requests; a broken line fails."""
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return {line["request_id"]: line for line in lines if "access" in line}


def logs_in(folder):
    return [path for path in folder.iterdir() if path.name.startswith("proxy.log")]


async def many(proxy, count, *, stream):
    return await asyncio.gather(*(post(proxy.url, proxy.key, stream=stream) for _ in range(count)))


@pytest.mark.parametrize("patience", ["0", "600"], ids=["cut off", "in peace"])
def test_of_streams_that_a_stop_meets_lines_records_and_spans_are_written(
    sim, start, tmp_path, patience
):
    sim.script([{"event_delay_ms": 200, "times": "forever"}])
    with Collector() as collector:
        proxy = start(
            tmp_path / "proxy",
            WORKERS="3",
            LOG_OUTPUT=str(tmp_path / "proxy.log"),
            SHUTDOWN_TIMEOUT=patience,
            ENABLE_TRACING="true",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_BATCH_SCHEDULE_DELAY_MS="60000",  # nothing is sent before the end
        )

        async def main():
            begun = set()
            streams = [
                asyncio.create_task(
                    post(proxy.url, proxy.key, on_body=lambda read: begun.add(id(read)))
                )
                for _ in range(12)
            ]
            while len(begun) < 12:
                await asyncio.sleep(0.01)
            proxy.process.terminate()
            return await asyncio.gather(*streams)

        streams = asyncio.run(main())
        assert proxy.process.wait(30) == 0
        spans = collector.named("POST ")
    ids = {read.headers["request-id"] for read in streams}
    last = {SSEDecoder().receive(read.body)[-1][0] for read in streams}
    assert last == {b"error" if patience == "0" else b"message_stop"}
    lines = access_lines(tmp_path / "proxy.log")
    assert ids <= lines.keys()
    errors = {lines[request_id].get("error") for request_id in ids}
    assert errors == {"api_error" if patience == "0" else None}
    noted = b"".join(path.read_bytes() for path in (proxy.folder / "requests").iterdir())
    assert all(request_id.encode() in noted for request_id in ids)
    assert {span.attributes["proxy.request_id"] for span in spans} >= ids


def test_four_workers_that_rotate_lose_no_line_though_another_program_moves_the_file(
    start, tmp_path
):
    log = tmp_path / "proxy.log"
    proxy = start(WORKERS="4", LOG_OUTPUT=str(log), LOG_MAX_BYTES="4096", LOG_BACKUPS="99")

    async def main():
        answers = []
        for number in range(8):
            answers += await many(proxy, 40, stream=number % 2 == 0)
            with contextlib.suppress(FileNotFoundError):
                log.rename(tmp_path / f"proxy.log-{number}")  # as logrotate does
        return answers

    answers = asyncio.run(main())
    assert {answer.status for answer in answers} == {200}
    assert proxy.stop() == 0
    lines = access_lines(*logs_in(tmp_path))
    assert {answer.headers["request-id"] for answer in answers} <= lines.keys()


def test_a_pipe_that_nobody_reads_stops_no_worker(start, tmp_path):
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        proxy = start(WORKERS="2", LOG_OUTPUT=str(fifo))
        answers = asyncio.run(many(proxy, 400, stream=False))
        assert {answer.status for answer in answers} == {200}
        assert proxy.stop(20) == 0
    finally:
        os.close(reader)


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "00-" + "\u00e9" * 30},
        {"traceparent": "x" * 20_000},
        {"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"},
        {"tracestate": "a=b," * 5_000, "traceparent": f"00-{'a' * 32}-{'b' * 16}-01"},
        {"x-session-id": "\u00ff" * 9_000},
        {"x-session-id": "sk-" + "Ab1_" * 10, "x-claude-code-session-id": "123456789012"},
        {"baggage": "x=" + "y" * 20_000},
    ],
    ids=str,
)
def test_hostile_headers_of_traces_cost_no_answer_and_are_in_no_line(traced_proxy, headers):
    proxy, collector = traced_proxy
    body = {"model": "claude-haiku-4-5", "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}]}  # fmt: skip
    request = urllib.request.Request(
        f"{proxy.url}/v1/messages",
        json.dumps(body).encode(),
        {"x-api-key": proxy.key, "content-type": "application/json"},
    )
    for name, value in headers.items():
        request.add_unredirected_header(name, value)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
        request_id = answer.headers["request-id"]

    def told():
        spans = collector.named("POST ")
        return [span for span in spans if span.attributes["proxy.request_id"] == request_id]

    (span,) = wait_for(told, "its span")
    everything = str(span.attributes) + proxy.logged()
    assert "Ab1_Ab1_" not in everything
    assert len(str(span.attributes)) < 2000
    assert span.attributes.get("session.id", "") != "123456789012"


@pytest.fixture(scope="module")
def traced_proxy(simulator, tmp_path_factory):
    from servers import start_proxy  # noqa: PLC0415  # beside the fixture

    with Collector() as collector:
        settings = {
            "ENABLE_TRACING": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BATCH_SCHEDULE_DELAY_MS": "50",
        }
        with start_proxy(tmp_path_factory.mktemp("traced"), simulator, **settings) as proxy:
            yield proxy, collector
