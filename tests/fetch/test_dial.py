"""The real dialer: TLS and egress proxies on this machine."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import asynccontextmanager

import pytest
from fakeserver import TLS, ok, serving, until

from anthropic_bedrock_proxy.fetch.base import FetchError
from anthropic_bedrock_proxy.fetch.dial import Lookup, literal_address
from anthropic_bedrock_proxy.fetch.fetcher import FetchOptions, WebFetcher

PNG = b"\x89PNG\r\n\x1a\nxyz"
IMAGES = frozenset(("image/png",))
CA = str(TLS / "server.pem")


async def here(host, port):
    return ["127.0.0.1"]


async def fetch(url, port, *, resolver=here, **options):
    options = {"allow_private": True, "allowed_ports": (port,), "ca_bundle": CA, **options}
    fetcher = WebFetcher(FetchOptions(**options), resolver=resolver)
    try:
        return await fetcher.fetch(url, accept=IMAGES, max_bytes=1000, key="k")
    finally:
        fetcher.close()


def test_tls_is_verified_against_the_name_and_connects_to_the_address():
    async def main():
        async with serving(ok(PNG), tls=True) as server:
            url = f"https://localhost:{server.port}/x"
            fetched = await fetch(url, server.port)
            assert (fetched.body, fetched.url) == (PNG, url)
            assert f"host: localhost:{server.port}".encode() in server.requests[0]

    asyncio.run(main())


def test_an_address_as_host_over_tls():
    async def main():
        async with serving(ok(PNG), tls=True) as server:
            fetched = await fetch(f"https://127.0.0.1:{server.port}/", server.port, resolver=None)
            assert fetched.body == PNG

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "options", "expected"),
    [
        ("other.example", {}, "its certificate is not accepted: Hostname mismatch"),
        ("localhost", {"ca_bundle": None}, "its certificate is not accepted: self.signed"),
        ("localhost", {"ca_bundle": "/nowhere"}, "this server cannot load its root"),
    ],
)
def test_certificates_that_are_refused(host, options, expected):
    async def main():
        async with serving(ok(PNG), tls=True) as server:
            with pytest.raises(FetchError, match=expected):
                await fetch(f"https://{host}:{server.port}/", server.port, **options)
            assert not server.requests

    asyncio.run(main())


def test_a_server_without_tls():
    async def talk(reader, writer):
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()

    async def main():
        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(FetchError, match="no TLS connection"):
                await fetch(f"https://localhost:{port}/", port)

    asyncio.run(main())


def test_plain_http_where_it_is_allowed():
    async def main():
        async with serving(ok(PNG)) as server:
            url = f"http://localhost:{server.port}/"
            assert (await fetch(url, server.port, allow_http=True)).body == PNG

    asyncio.run(main())


def test_a_port_where_nobody_listens():
    async def main():
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
            with pytest.raises(FetchError) as refused:
                await fetch(f"https://localhost:{port}/", port)
            assert refused.value.reason == "its host cannot be connected to"

    asyncio.run(main())


@asynccontextmanager
async def egress_proxy(answer):
    """Answers CONNECT with `answer`, then pipes to the port that was asked for."""
    seen = []

    writers = []

    async def pipe(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        seen.append(head.split(b"\r\n")[0])
        writers.append(writer)
        writer.write(answer)
        if b" 200 " not in answer:
            writer.close()
            return
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        inner = await asyncio.open_connection("127.0.0.1", port)
        writers.append(inner[1])
        await asyncio.gather(pipe(reader, inner[1]), pipe(inner[0], writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await until(lambda: len(asyncio.all_tasks()) == 1)


def test_through_a_trusted_egress_proxy():
    async def main():
        async with (
            egress_proxy(b"HTTP/1.1 200 OK\r\n\r\n") as (proxy, seen),
            serving(ok(PNG), tls=True) as server,
        ):
            fetched = await fetch(
                f"https://localhost:{server.port}/",
                server.port,
                https_proxy=proxy,
                trust_proxy=True,
            )
            assert fetched.body == PNG
            assert seen == [f"CONNECT localhost:{server.port} HTTP/1.1".encode()]

    asyncio.run(main())


def test_an_address_of_ipv6_keeps_its_brackets_in_the_tunnel():
    async def main():
        async with egress_proxy(b"HTTP/1.1 403 Forbidden\r\n\r\n") as (proxy, seen):
            with pytest.raises(FetchError) as refused:
                await fetch("https://[2606:4700::1]/", 1, https_proxy=proxy, trust_proxy=True)
            assert refused.value.reason == "its host cannot be connected to"
            assert seen == [b"CONNECT [2606:4700::1]:443 HTTP/1.1"]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.1", "127.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("::1", "::1"),
        ("a.example", None),
        ("localhost", None),
        ("", None),
    ],
)
def test_hosts_that_spell_an_address(host, address):
    assert literal_address(host) == address


def test_names_that_never_resolve_leave_threads_for_another_key():
    """A thread is held long after its fetch was given up."""

    async def main():
        end = threading.Event()

        def find(host, port):
            if host == "slow.example":
                end.wait(30)
            return [host]

        lookup = Lookup(find, threads=4)
        try:
            slow = [asyncio.create_task(lookup("slow.example", 443, key="a")) for _ in range(9)]
            await asyncio.sleep(0)
            for task in slow:
                task.cancel()
            await asyncio.gather(*slow, return_exceptions=True)
            again = asyncio.create_task(lookup("slow.example", 443, key="a"))
            async with asyncio.timeout(10):
                assert await lookup("fast.example", 443, key="b") == ["fast.example"]
            end.set()
            assert await again == ["slow.example"]
        finally:
            end.set()
            lookup.close()

    asyncio.run(main())


def test_the_real_resolver():
    async def main():
        lookup = Lookup()
        try:
            assert set(await lookup("127.1", 443, key="k")) == {"127.0.0.1"}
            assert set(await lookup("localhost", 443, key="k")) <= {"127.0.0.1", "::1"}
            with pytest.raises(OSError, match=r".+"):
                await lookup("no name", 443, key="k")
        finally:
            lookup.close()

    asyncio.run(main())
