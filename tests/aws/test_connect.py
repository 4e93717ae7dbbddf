from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from fakeserver import TLS, ok, serving

from anthropic_bedrock_proxy.aws.connect import Endpoint, connector, proxy_for
from anthropic_bedrock_proxy.aws.http import ConnectError, Pool

HEAD = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n"
CA = str(TLS / "server.pem")


async def ask(endpoint, **options):
    pool = Pool(connector(endpoint, **options))
    try:
        response = await pool.request(HEAD, b"{}", 5.0)
        return await response.read_all(5.0)
    finally:
        await pool.close()


@pytest.mark.parametrize(
    ("url", "expected", "authority"),
    [
        ("http://127.0.0.1:9000/", Endpoint("127.0.0.1", 9000, False), "127.0.0.1:9000"),
        ("https://a.example", Endpoint("a.example", 443, True), "a.example"),
        ("https://a.example/p/", Endpoint("a.example", 443, True, "/p"), "a.example"),
        ("http://[::1]:8", Endpoint("::1", 8, False), "[::1]:8"),
    ],
)
def test_endpoints_from_urls(url, expected, authority):
    endpoint = Endpoint.from_url(url)
    assert endpoint == expected
    assert endpoint.authority == authority


@pytest.mark.parametrize("url", ["ftp://a", "a.example", "https://"])
def test_urls_that_are_none(url):
    with pytest.raises(ValueError, match="not an http"):
        Endpoint.from_url(url)


def test_tls_with_a_given_ca():
    async def main():
        async with serving(ok(b"tls"), tls=True) as server:
            endpoint = Endpoint("localhost", server.port, tls=True)
            assert await ask(endpoint, ca_bundle=CA) == b"tls"

    asyncio.run(main())


def test_tls_with_an_unknown_ca_is_refused():
    async def main():
        async with serving(ok(), tls=True) as server:
            with pytest.raises(ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await ask(Endpoint("localhost", server.port, tls=True))

    asyncio.run(main())


@pytest.mark.parametrize("there", [True, False])
def test_a_ca_bundle_that_cannot_be_loaded_is_told_at_once(tmp_path, there):
    bundle = tmp_path / "ca.pem"
    if there:
        bundle.write_text("no certificate")
    with pytest.raises(ConnectError, match=r"AWS_CA_BUNDLE \(.*ca\.pem\) cannot be loaded"):
        asyncio.run(ask(Endpoint("localhost", 1, tls=True), ca_bundle=str(bundle)))


@asynccontextmanager
async def egress_proxy(seen, answer=b"HTTP/1.1 200 OK\r\n\r\n"):
    """The URL of a proxy that answers CONNECT so, and tunnels if it said yes."""
    writers = []

    async def pump(source, target):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    async def serve(reader, writer):
        writers.append(writer)
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if b" 200 " not in answer:
            writer.close()
            return
        port = int(seen[-1].split(b" ")[1].rpartition(b":")[2])
        back_reader, back_writer = await asyncio.open_connection("127.0.0.1", port)
        writers.append(back_writer)
        await asyncio.gather(
            pump(reader, back_writer), pump(back_reader, writer), return_exceptions=True
        )

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("where", "options", "lasting", "words"),
    [
        (Endpoint("no-such-name.invalid", 443, True), {}, "DNS", "AWS_REGION"),
        ("tls", {}, "TLS", "AWS_CA_BUNDLE"),
        ("tls", {"proxy": "http://127.0.0.1:9"}, "the egress proxy", "HTTPS_PROXY"),
        (Endpoint("127.0.0.1", 9, False), {}, "", "127.0.0.1:9"),
    ],
)
def test_what_failed_on_the_way_is_named(where, options, lasting, words):
    async def main():
        if isinstance(where, Endpoint):
            return await ask(where, **options)
        async with serving(ok(b"{}"), tls=True) as server:
            return await ask(Endpoint("127.0.0.1", server.port, True), **options)

    with pytest.raises(ConnectError, match=words) as failed:
        asyncio.run(main())
    assert failed.value.lasting == lasting


def test_through_an_egress_proxy_with_a_password():
    async def main():
        seen = []
        async with serving(ok(b"tls"), tls=True) as server, egress_proxy(seen) as proxy:
            endpoint = Endpoint("localhost", server.port, tls=True)
            url = f"http://me:p%40ss@{proxy}"
            assert await ask(endpoint, ca_bundle=CA, proxy=url) == b"tls"
        assert seen[0].startswith(b"CONNECT localhost:%d HTTP/1.1\r\n" % server.port)
        assert b"Proxy-Authorization: Basic bWU6cEBzcw==\r\n" in seen[0]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "refused the tunnel: 407"),
        (b"", "closed the connection"),
        (b"x" * 20_000, "not valid HTTP"),
    ],
)
def test_an_egress_proxy_that_does_not_help(answer, message):
    async def main():
        async with egress_proxy([], answer) as proxy:
            with pytest.raises(ConnectError, match=message):
                await ask(Endpoint("localhost", 1, tls=True), ca_bundle=CA, proxy=f"http://{proxy}")

    asyncio.run(main())


def test_an_egress_proxy_of_another_scheme():
    with pytest.raises(ConnectError, match="must be an http://"):
        asyncio.run(ask(Endpoint("localhost", 1, tls=True), ca_bundle=CA, proxy="socks5://a:1"))


@pytest.mark.parametrize(
    ("host", "no_proxy", "direct"),
    [
        ("bedrock-runtime.us-east-1.amazonaws.com", None, False),
        ("bedrock-runtime.us-east-1.amazonaws.com", "example.com", False),
        ("bedrock-runtime.us-east-1.amazonaws.com", ".amazonaws.com", True),
        ("bedrock-runtime.us-east-1.amazonaws.com", "a, amazonaws.com", True),
        ("bedrock-runtime.us-east-1.amazonaws.com", "*", True),
    ],
)
def test_no_proxy(host, no_proxy, direct):
    proxy = proxy_for(Endpoint(host, 443, tls=True), "http://p:1", no_proxy)
    assert (proxy is None) == direct


@pytest.mark.parametrize(
    ("host", "port", "no_proxy", "direct"),
    [
        ("a.example", 443, "a.example:443", True),
        ("a.example", 8443, "a.example:443", False),
        ("a.example", 8443, "x, .example:8443", True),
        ("a.example", 443, ".example:8443", False),
        ("A.Example.", 443, "a.EXAMPLE", True),
        ("b.a.example", 443, "*.a.example", True),
        ("a.example", 443, "*.a.example", True),
        ("ba.example", 443, "a.example", False),
        ("a.example", 443, "b.example a.example", True),
        ("a.example", 443, ", ,:443,.,*.", False),
        ("a.example", 443, "*:443", False),
        ("10.1.2.3", 443, "10.0.0.0/8", True),
        ("11.1.2.3", 443, "10.0.0.0/8", False),
        ("10.1.2.3", 443, "10.0.0.0/99", False),
        ("10.1.2.3", 443, "10.1.2.3:443", True),
        ("10.1.2.3", 443, "10.1.2.3:80", False),
        ("10.1.2.3", 443, "2.3", False),
        ("a.10", 443, "10", True),
        ("::1", 443, "[::1]:443", True),
        ("::1", 443, "[::1]:80", False),
        ("::1", 443, "[::1]", True),
        ("0:0::1", 443, "::1", True),
        ("fd00::9", 443, "fd00::/8", True),
        ("a.example", 443, "fd00::/8,::1,a.example/8", False),
    ],
)
def test_no_proxy_with_ports_addresses_and_networks(host, port, no_proxy, direct):
    proxy = proxy_for(Endpoint(host, port, tls=True), "http://p:1", no_proxy)
    assert (proxy is None) == direct


def test_plain_http_and_no_setting_go_direct():
    assert proxy_for(Endpoint("a", 80, tls=False), "http://p:1", None) is None
    assert proxy_for(Endpoint("a", 443, tls=True), None, None) is None
