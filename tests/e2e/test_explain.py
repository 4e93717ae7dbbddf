"""What is told of requests that had a bad day: by the access log, `explain` and metrics."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from urllib.parse import urlsplit

import pytest
from servers import MASTER_KEY, RunningSimulator, wait_for
from streaming import MODEL, post

PROMPT = "a prompt that nobody else may read"
ANSWER = "an answer that nobody else may read. "


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    with RunningSimulator(tmp_path_factory.mktemp("other")) as server:
        yield server


@pytest.fixture
def proxy(sim, other, start):
    other.control.reset()
    sim.script(
        [
            {
                "error": {"type": "ThrottlingException", "message": "Too many"},
                "times": "forever",
            }
        ]
    )
    reply = {"content": [{"type": "text", "text": ANSWER * 50}]}
    other.control.script([{"reply": reply, "event_delay_ms": 50, "times": "forever"}])
    providers = {"second": {"region": "us-west-2", "endpoint_url": other.url}}
    return start(
        WORKERS="2",
        PROVIDERS=json.dumps(providers),
        FAILOVER_CHAINS='{"*": ["default", "second"]}',
        LOG_LEVEL="DEBUG",
    )


async def leave_in_the_middle(proxy):
    """Reads the first event of a streamed answer and hangs up; returns the request's id."""
    parts = urlsplit(proxy.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    body = json.dumps(
        {
            "model": MODEL,
            "max_tokens": 500,
            "stream": True,
            "messages": [{"role": "user", "content": PROMPT}],
        }
    ).encode()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {proxy.key}\r\n"
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    await reader.readuntil(b"content_block_delta")
    writer.close()
    return next(one[12:] for one in answer.split("\r\n") if one.startswith("request-id: "))


def line_of(proxy, request_id):
    """The access line of a request, once it is there."""

    def look():
        lines = [json.loads(one) for one in proxy.logged().splitlines() if request_id in one]
        return next((one for one in lines if "access" in one), None)

    return wait_for(look, "its access line")


def test_a_streamed_failed_over_disconnected_request_is_told_of(proxy):
    request_id = asyncio.run(leave_in_the_middle(proxy))
    line = line_of(proxy, request_id)
    print(json.dumps(line))
    assert line["provider"] == "second"
    assert (line["status"], line["stream"], line["disconnected"]) == (200, True, True)
    assert line["retries"] == 1
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert line["upstream_request_id"]
    assert line["ms"] >= line["upstream_ms"] > line["overhead_ms"] > 0
    assert line["input_tokens"] > 0
    assert line["cost_usd"] > 0
    for where in ((), ("--url", proxy.url)):
        told = wait_for(lambda where=where: noted(proxy, request_id, *where), "it is noted")
        said = " ".join(told["explanation"])
        assert "asked default" in said
        assert "ThrottlingException (429)" in said
        assert "asked second" in said
        assert "The client left before the end" in said
        assert [one["provider"] for one in told["facts"]["upstream"]] == ["default", "second"]
    everything = proxy.logged() + json.dumps(told)
    for path in (proxy.folder / "requests").iterdir():
        everything += path.read_text()
    for secret in (PROMPT, ANSWER, proxy.key, MASTER_KEY):
        assert secret not in everything


def noted(proxy, request_id, *where):
    """What the request log tells of a request; until it is there, its usage record might."""
    told = explained(proxy, request_id, *where)
    return told if told and told["source"] == "request_log" else None


def explained(proxy, request_id, *where):
    environment = proxy.environment
    proxy.environment = {**environment, "ADMIN_API_KEY": MASTER_KEY}
    try:
        return proxy.command("explain", request_id, *where)
    except AssertionError:
        return None
    finally:
        proxy.environment = environment


def test_refusals_are_explained_and_unknown_requests_are_not(proxy):
    refused = asyncio.run(post(proxy.url, "sk-nobody", text=PROMPT))
    assert refused.status == 401
    told = wait_for(lambda: explained(proxy, refused.headers["request-id"]), "it is noted")
    assert told["explanation"][-1].startswith("Why: Its API key is not known")
    request = urllib.request.Request(
        f"{proxy.url}/admin/api/requests/req_00000000000000000000000",
        headers={"x-api-key": MASTER_KEY},
    )
    with pytest.raises(urllib.error.HTTPError) as found:
        urllib.request.urlopen(request)
    assert found.value.code == 404
    assert "nothing is known of this request" in found.value.read().decode()
