from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
from types import SimpleNamespace

import pytest

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.telemetry.logs import (
    AccessLog,
    JSONFormatter,
    Output,
    TextFormatter,
)


def request_of(path):
    return SimpleNamespace(method="POST", path=path, client="10.0.0.1")


REQUEST = request_of("/v1/messages")


def record(**extra):
    made = logging.makeLogRecord(
        {"name": "a.b", "levelno": 30, "levelname": "WARNING", "msg": "told %s", "args": ("you",)}
    )
    made.__dict__.update(extra)
    return made


def failure():
    try:
        int("why")
    except ValueError:
        return sys.exc_info()


def test_json_lines():
    line = json.loads(JSONFormatter().format(record(code="x", exc_info=failure())))
    assert line["message"] == "told you"
    assert (line["level"], line["logger"], line["code"]) == ("warning", "a.b", "x")
    assert "ValueError: invalid literal" in line["exception"]


def test_text_lines():
    line = TextFormatter().format(record(code="x", exc_info=failure()))
    assert "WARNING told you code=x" in line
    assert "ValueError: invalid literal" in line


def exchange(**fields):
    made = Exchange("req_1", started=0.0, at_ms=0)
    made.status = 200
    for name, value in fields.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def pipe():
    read, write = os.pipe()
    yield read, write
    os.close(read)


def test_access_lines_are_batched_and_flushed(pipe):
    async def main():
        log = AccessLog("json", fd=pipe[1])
        log(REQUEST, exchange(model="m", error_type="api_error"))
        log(REQUEST, exchange())
        log.flush()
        log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    first, second = map(json.loads, os.read(pipe[0], 65536).splitlines())
    assert (first["access"], first["status"], first["model"]) == ("POST /v1/messages", 200, "m")
    assert first["error"] == "api_error"
    assert "model" not in second


def test_access_lines_are_written_by_themselves(pipe):
    async def main():
        log = AccessLog("text", fd=pipe[1])
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        loop.add_reader(pipe[0], lambda: written.done() or written.set_result(None))
        log(REQUEST, exchange(model="m", error_type="api_error"))
        await written
        loop.remove_reader(pipe[0])

    asyncio.run(main())
    os.close(pipe[1])
    line = os.read(pipe[0], 65536)
    assert b" 200 POST /v1/messages " in line
    assert line.endswith(b"m in=0 out=0 api_error req_1\n")


def test_a_client_cannot_write_lines_of_its_own(pipe):
    async def main():
        for log_format in ("text", "json"):
            log = AccessLog(log_format, fd=pipe[1])
            odd = request_of("/x\n12:00 200 POST " + "y" * 5000)
            log(odd, exchange(model="\x1b[2J\n"))
            log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    lines = os.read(pipe[0], 65536).split(b"\n")
    assert len(lines) == 3
    assert b"\x1b" not in b"".join(lines)
    assert all(len(line) < 600 for line in lines)


SECRET = "sk-" + "Ab1_" * 10 + "xyz"
MASTER = "an operator's own words"
PASTED = [
    (SECRET, SECRET),
    (f"before{SECRET[2:]}/{SECRET}", SECRET),
    (SECRET.replace("-", "%2D"), SECRET[3:]),
    (SECRET.replace("-", "%252d"), SECRET[3:]),
    (f"{SECRET.upper()}?x", SECRET.upper()),
    (SECRET[3:], SECRET[3:]),
    ("0123456789abcdef" * 2, "0123456789abcdef"),
    ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("bedrock-api-key-YmVkcm9jazEyMzQ1Njc4", "YmVkcm9jazEyMzQ1Njc4"),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJzdWIiOiIxIn0"),
    (f"x {MASTER} y", MASTER),
    (MASTER.replace(" ", "%20"), MASTER.replace(" ", "%20")),
    ("x" * 190 + f"/{SECRET}", SECRET[:20]),
]


@pytest.mark.parametrize("log_format", ["text", "json"])
@pytest.mark.parametrize(("pasted", "secret"), PASTED)
def test_a_key_that_was_pasted_into_a_path_or_for_a_model_is_in_no_line(
    pipe, log_format, pasted, secret
):
    async def main():
        log = AccessLog(log_format, fd=pipe[1], secrets=["", MASTER])
        for path in (f"/{pasted}", f"/v1/models/{pasted}/x"):
            log(request_of(path), exchange(model=pasted))
        log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    lines = os.read(pipe[0], 65536).decode()
    assert secret not in lines
    assert lines.count("\n") == 2


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages/count_tokens",
        "/v1/models/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        "/admin/api/keys/key_abcdefghij234567/rotate",
        "/v1/models/arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc1",
        "/task-force-of-1",
    ],
)
def test_other_paths_are_as_they_were(pipe, path):
    async def main():
        log = AccessLog("text", fd=pipe[1])
        log(request_of(path), exchange())
        log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    assert f" POST {path} " in os.read(pipe[0], 65536).decode()


@pytest.mark.parametrize("formatter", [JSONFormatter(), TextFormatter()])
def test_a_key_is_in_no_message_field_or_traceback(formatter):
    try:
        int(SECRET)
    except ValueError:
        told = record(args=(SECRET,), model=f"a {SECRET}", exc_info=sys.exc_info())
    line = formatter.format(told)
    assert SECRET not in line
    assert line.count("sk-(hidden)") >= 3
    if isinstance(formatter, JSONFormatter):
        assert json.loads(line)["model"] == "a sk-(hidden)"
    assert "sk-...wxyz" in formatter.format(record(hint="sk-...wxyz"))


def test_a_full_batch_is_written_at_once(pipe):
    async def main():
        log = AccessLog("json", fd=pipe[1])
        for _ in range(400):
            log(REQUEST, exchange())
        assert len(log._lines) < 400
        log.flush()

    asyncio.run(main())
    os.close(pipe[1])
    assert os.read(pipe[0], 1 << 20).count(b"\n") == 400


def test_a_log_that_nobody_reads_does_not_stop_serving():
    async def main():
        read, write = os.pipe()
        os.close(read)
        log = AccessLog("json", fd=write)
        log(REQUEST, exchange())
        log.flush()
        os.close(write)

    asyncio.run(main())


def test_a_pipe_that_is_full_stops_nobody_and_what_was_lost_is_told(pipe):
    read, write = pipe
    output = Output(write)
    line = b"x" * 99 + b"\n"
    for _ in range(2_000):  # a pipe holds 64 KiB
        output.write(line)
    held = os.read(read, 1 << 20)
    assert len(held) < 100_000
    output.write(b"after\n")
    os.close(write)
    told, after = os.read(read, 1 << 20).strip().split(b"\n")
    assert json.loads(told)["message"] == f"{200_000 - len(held)} bytes of the log were lost"
    assert after == b"after"


def test_a_line_that_was_cut_is_ended_before_the_next(pipe):
    read, write = pipe
    output = Output(write)
    output.write(b"x" * 100_000 + b"\n")
    held = os.read(read, 1 << 20)
    output.write(b"after\n")
    assert os.read(read, 1 << 20).startswith(b"\n{")
    assert set(held) == {ord("x")}
    os.close(write)


def test_a_full_disk_stops_nobody():
    with open("/dev/full", "wb") as full:  # noqa: PTH123  # a device
        output = Output(full.fileno())
        output.write(b"lost\n")
    with tempfile.TemporaryFile() as file:
        output = Output(file.fileno())
        output.write(b"kept\n")
        file.seek(0)
        assert file.read() == b"kept\n"
