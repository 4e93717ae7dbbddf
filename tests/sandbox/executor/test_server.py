"""The HTTP API to those who are no proxy of ours, and to proxies on bad days."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from urllib.parse import quote

import pytest
from executors import running_executor, until
from fake_isolation import FakeIsolation

from anthropic_bedrock_proxy import __version__
from anthropic_bedrock_proxy.sandbox.executor.spool import SpoolBounds
from anthropic_bedrock_proxy.sandbox.wire import MAX_BODY_BYTES

CELL = "/containers/c/cells/one"
TOKEN = "t0ken"  # of the test


async def open_to(executor):
    address = executor.address
    if address.path is not None:
        return await asyncio.open_unix_connection(address.path)
    return await asyncio.open_connection(address.host, address.port)


async def ask(executor, method, path, body=b"", **headers):
    """Makes one request; returns (status, the body as JSON if it is some)."""
    reader, writer = await open_to(executor)
    fields = {"host": "x", "content-length": str(len(body)), "connection": "close", **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    head, _, content = answer.partition(b"\r\n\r\n")
    status = int(head.split()[1])
    return status, json.loads(content) if content[:1] in {b"{", b"["} else content


def run_body(code="say x", **fields):
    body = {"owner": "o", "cell": {"type": "python", "code": code}, "create": True, **fields}
    return json.dumps(body).encode()


def serving(tell, **options):
    async def main():
        async with running_executor(**options) as executor:
            await tell(executor)

    asyncio.run(main())


def test_the_state_tells_what_there_is():
    async def tell(executor):
        status, state = await ask(executor, "GET", "/state")
        assert status == 200
        assert state == {
            "status": "ready",
            "isolation": "fake",
            "reason": "",
            "details": {"kind": "fake"},
            "containers": 0,
            "running": 0,
            "waiting": 0,
            "warm": 0,
            "errors": 0,
            "version": __version__,
        }

    serving(tell)


@pytest.mark.parametrize("url", [None, "http://127.0.0.1"])
def test_nobody_is_let_in_without_the_token(url):
    async def tell(executor):
        for given in ("", f"Bearer {TOKEN}x", "Bearer ", TOKEN, "Bearer \xe9"):
            for method, path in (("GET", "/state"), ("POST", CELL), ("GET", "/nowhere")):
                status, body = await ask(executor, method, path, authorization=given)
                assert (status, body["error"]) == (401, "unauthorized")
        assert executor.isolation.ran == []
        status, _ = await ask(executor, "GET", "/state", authorization=f"Bearer {TOKEN}")
        assert status == 200

    serving(tell, token=TOKEN, url=url)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"),
    [
        ("POST", CELL, b"junk", {}),
        ("POST", CELL, b"{}", {}),
        ("POST", CELL, b'{"owner":"o","cell":{"type":"rust"}}', {}),
        ("POST", CELL, run_body(owner=""), {}),
        ("POST", CELL, run_body(owner="x" * 129), {}),
        ("POST", CELL, b'{"owner":"o","cell":{"type":"edit","input":' + b'{"a":' * 9000, {}),
        ("POST", "/containers/a%2Fb/cells/one", run_body(), {}),
        ("POST", "/containers/" + "x" * 129 + "/cells/one", run_body(), {}),
        ("GET", "/containers/c", b"", {}),
        ("GET", "/files", b"", {}),
        ("POST", "/files?name=a%2Fb", b"x", {"x_owner": "o"}),
        ("POST", "/files", b"x", {"x_owner": "o"}),
    ],
)
def test_what_no_proxy_of_ours_sends_is_refused(method, path, body, headers):
    async def tell(executor):
        status, answer = await ask(executor, method, path, body, **headers)
        assert (status, answer["error"]) == (400, "invalid")
        assert executor.isolation.ran == []

    serving(tell)


def test_strangers_write_nothing_into_the_log(caplog):
    async def tell(executor):
        status, _ = await ask(executor, "GET", "/state", x="y" * 100_000)
        assert status == 400
        reader, writer = await open_to(executor)
        writer.write(b"nonsense\r\n\r\n")
        assert b"400" in (await reader.read()).splitlines()[0]
        writer.close()

    serving(tell, token=TOKEN)
    assert caplog.text == ""


@pytest.mark.parametrize("path", [CELL, "/files?name=a"])
def test_a_body_that_is_not_encoded_as_it_says_is_refused(path, caplog):
    async def tell(executor):
        fields = {"content_encoding": "gzip", "x_owner": "o"}
        status, error = await ask(executor, "POST", path, b"no gzip", **fields)
        assert (status, error["error"]) == (400, "invalid")

    serving(tell)
    assert caplog.text == ""


def test_a_fault_of_the_executor_is_told_and_logged_by_its_kind_alone(caplog):
    class Broken(FakeIsolation):
        async def state(self):
            raise LookupError

    async def tell(executor):
        status, error = await ask(executor, "GET", "/state")
        assert (status, error["error"]) == (500, "unavailable")

    serving(tell, isolation=Broken())
    (record,) = caplog.records
    assert (record.error, record.exc_info) == ("LookupError", None)


def test_what_is_not_there_is_gone_and_what_is_no_path_is_invalid():
    async def tell(executor):
        for path in ("/containers/c", "/files/file_1", "/files/file_1/content"):
            status, body = await ask(executor, "GET", path, x_owner="o")
            assert (status, body["error"]) == (404, "gone")
        status, body = await ask(executor, "GET", "/nowhere", x_owner="o")
        assert (status, body["error"]) == (404, "invalid")
        status, body = await ask(executor, "PUT", "/state", x_owner="o")
        assert (status, body["error"]) == (405, "invalid")

    serving(tell)


def test_bodies_are_bounded():
    async def tell(executor):
        status, body = await ask(executor, "POST", CELL, b" " * (MAX_BODY_BYTES + 1))
        assert (status, body["error"]) == (413, "too_large")
        status, body = await ask(executor, "POST", "/files?name=a", b"12345", x_owner="o")
        assert (status, body["error"]) == (413, "too_large")
        for expected in (200, 200, 507):
            status, body = await ask(executor, "POST", "/files?name=a", b"1234", x_owner="o")
            assert status == expected
        assert body["error"] == "full"

    serving(tell, spool=SpoolBounds(file_bytes=4, owner_bytes=8))


def test_an_upload_that_is_cut_leaves_nothing():
    async def tell(executor):
        _, writer = await open_to(executor)
        head = b"POST /files?name=a HTTP/1.1\r\nhost: x\r\nx-owner: o\r\ncontent-length: 9\r\n\r\n"
        writer.write(head + b"1234")
        await until(lambda: executor.parts.spool._bytes)
        writer.close()
        await until(lambda: not executor.parts.spool._bytes)
        assert executor.parts.spool.list("o") == []

    serving(tell)


def test_files_are_kept_listed_fetched_and_removed():
    async def tell(executor):
        status, made = await ask(
            executor, "POST", "/files?name=a%20b.csv", b"x,y", x_owner="o", content_type="text/csv"
        )
        assert status == 200
        assert (made["filename"], made["mime_type"], made["size_bytes"], made["downloadable"]) == (
            "a b.csv",
            "text/csv",
            3,
            False,
        )
        path = f"/files/{made['id']}"
        assert await ask(executor, "GET", "/files", x_owner="o") == (200, {"files": [made]})
        assert await ask(executor, "GET", "/files", x_owner="p") == (200, {"files": []})
        assert await ask(executor, "GET", path, x_owner="o") == (200, made)
        assert await ask(executor, "GET", f"{path}/content", x_owner="o") == (200, b"x,y")
        for stranger in (path, f"{path}/content"):
            assert (await ask(executor, "GET", stranger, x_owner="p"))[0] == 404
        assert (await ask(executor, "DELETE", path, x_owner="p"))[0] == 404
        assert (await ask(executor, "DELETE", path, x_owner="o"))[0] == 204
        assert (await ask(executor, "GET", path, x_owner="o"))[0] == 404

    serving(tell)


def test_a_caller_that_goes_away_ends_nothing():
    async def tell(executor):
        _, writer = await open_to(executor)
        body = run_body("stand\nsay x")
        head = f"POST {CELL} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await until(lambda: executor.isolation.ran)
        writer.transport.abort()
        executor.isolation.gate.set()
        status, reply = await ask(executor, "POST", CELL, run_body("say other"))
        assert (status, reply["outcome"]["stdout"]) == (200, "x\n")
        assert len(executor.isolation.ran) == 1

    serving(tell)


def test_a_container_can_be_looked_at_and_removed():
    async def tell(executor):
        body = run_body(
            "call f", cell={"type": "python", "code": "call f", "functions": {"f": "g"}}
        )
        status, _ = await ask(executor, "POST", CELL, body)
        assert status == 200
        _, state = await ask(executor, "GET", "/containers/c", x_owner="o")
        assert state["cells"] == ["one"]
        assert (await ask(executor, "DELETE", "/containers/c", x_owner="p"))[0] == 404
        assert (await ask(executor, "DELETE", "/containers/c", x_owner="o"))[0] == 204
        assert (await ask(executor, "GET", "/containers/c", x_owner="o"))[0] == 404
        assert executor.isolation.runners == []

    serving(tell)


def test_who_connects_and_says_nothing_is_cut_off_and_who_was_let_in_is_not():
    async def tell(executor):
        known, known_writer = await open_to(executor)
        request = f"GET /state HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
        known_writer.write(request.encode())
        await known.readuntil(b"}")
        stranger, writer = await open_to(executor)
        writer.write(b"GET /state HTTP/1.1\r\nhost: x\r\n\r\n")  # without the token
        async with asyncio.timeout(20):
            assert (await stranger.read()).startswith(b"HTTP/1.1 401")
        known_writer.write(request.encode())
        await known.readuntil(b"200")
        for one in (writer, known_writer):
            one.close()

    serving(tell, token=TOKEN, server={"first_request_seconds": 0.2})


def test_there_are_no_more_connections_than_there_may_be():
    async def tell(executor):
        kept = [await open_to(executor) for _ in range(2)]
        for _, writer in kept:
            writer.write(b"GET /state HTTP/1.1\r\nhost: x\r\n\r\n")
        for reader, _ in kept:
            await reader.readuntil(b"}")
        reader, refused = await open_to(executor)
        with suppress(ConnectionError):
            assert await reader.read() == b""
        for _, writer in (*kept, (None, refused)):
            writer.close()

    serving(tell, server={"max_connections": 2})


@pytest.mark.parametrize("seconds", ["", "-1", "x", "1.5", "²", "1" * 10])
def test_a_time_that_is_none_is_refused(seconds):
    async def tell(executor):
        path = f"/files?name=a&seconds={quote(seconds)}"
        status, body = await ask(executor, "POST", path, b"x", x_owner="o")
        assert (status, body["error"]) == (400, "invalid")

    serving(tell)


@pytest.mark.parametrize("copy", ["x", "file_1", "copy_", "copy_../state", "copy_" + "0" * 29])
def test_an_id_of_a_copy_that_is_none_is_refused(copy):
    async def tell(executor):
        path = f"/files?name=a&copy={quote(copy)}"
        status, body = await ask(executor, "POST", path, b"x", x_owner="o")
        assert (status, body["error"]) == (400, "invalid")

    serving(tell)
