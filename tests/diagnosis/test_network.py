"""DNS, TCP, the egress proxy, TLS, HTTP and the clock: each fails, and is told apart."""

from __future__ import annotations

import asyncio
from email.utils import formatdate

import pytest
from fakeserver import TLS, serving

from anthropic_bedrock_proxy.diagnosis.network import (
    Way,
    check_egress_proxy,
    check_endpoint,
    check_tls_roots,
)

CA = str(TLS / "server.pem")
NOW = 1_800_000_000.0


def answer(skew=0.0):
    date = formatdate(NOW + skew, usegmt=True)
    return f"HTTP/1.1 404 x\r\ndate: {date}\r\ncontent-length: 0\r\n\r\n".encode()


def check(url, way=None):
    return asyncio.run(check_endpoint(url, way or Way(), now=lambda: NOW))


def check_served(reply, *, tls=False, way=None):
    async def story():
        async with serving(reply, tls=tls) as server:
            url = f"{'https' if tls else 'http'}://localhost:{server.port}"
            return await check_endpoint(url, way or Way(), now=lambda: NOW)

    return asyncio.run(story())


def told(lines):
    return [(line.name, line.state, line.found.partition(":")[0]) for line in lines]


def test_any_answer_will_do():
    lines = check_served(answer())
    assert [(line.name, line.state) for line in lines] == [("", "ok"), ("clock", "ok")]


def test_a_name_that_nobody_knows():
    assert told(check("https://bedrock-runtime.nowhere.invalid")) == [("", "fail", "DNS")]


def test_a_port_where_nobody_listens():
    assert told(check("http://127.0.0.1:1")) == [("", "fail", "TCP")]


def test_a_certificate_that_is_not_trusted():
    (line,) = check_served(answer(), tls=True)
    assert (line.state, line.found.startswith("TLS: the certificate")) == ("fail", True)
    assert "AWS_CA_BUNDLE" in line.mend
    assert check_served(answer(), tls=True, way=Way(ca_bundle=CA))[0].state == "ok"


def test_somebody_who_does_not_speak_tls_or_http():
    async def greet(_, writer):
        writer.write(b"220 mail\r\n")
        writer.close()

    async def story():
        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await check_endpoint(f"https://localhost:{port}", Way())

    assert told(asyncio.run(story())) == [("", "fail", "TLS")]
    assert told(check_served(b"220 mail\r\n")) == [("", "fail", "HTTP")]


@pytest.mark.parametrize(
    ("skew", "state"), [(0, "ok"), (-4, "ok"), (60, "warn"), (-400, "fail"), (400, "fail")]
)
def test_the_clock(skew, state):
    _, clock = check_served(answer(skew))
    assert (clock.name, clock.state) == ("clock", state)
    if skew:
        assert state == "ok" or ("behind" if skew > 0 else "ahead") in clock.found


class TestTheEgressProxy:
    def test_refuses_the_tunnel(self):
        async def story():
            async with serving(b"HTTP/1.1 407 Who are you\r\n\r\n") as proxy:
                way = Way(https_proxy=f"http://me:secret@127.0.0.1:{proxy.port}")
                there = await check_egress_proxy(way, ["https://bedrock.invalid"])
                return there + await check_endpoint("https://bedrock.invalid", way)

        there, refused = asyncio.run(story())
        assert there.state == "ok"
        assert refused.found.startswith("egress proxy: ")
        assert "407" in refused.found
        assert "secret" not in there.found + refused.found

    def test_is_not_there(self):
        way = Way(https_proxy="http://me:secret@127.0.0.1:1")
        lines = asyncio.run(check_egress_proxy(way, ["https://bedrock.invalid"]))
        assert told(lines) == [("", "fail", "TCP")]
        assert "secret" not in lines[0].found
        assert "in HTTPS_PROXY" in lines[0].mend
        assert "set HTTPS_PROXY" not in lines[0].mend

    @pytest.mark.parametrize(
        ("way", "state", "word"),
        [
            (Way(), "ok", "none"),
            (Way(https_proxy="http://127.0.0.1:1", no_proxy="bedrock.invalid"), "warn", "NO_PROXY"),
        ],
    )
    def test_is_not_used(self, way, state, word):
        (line,) = asyncio.run(check_egress_proxy(way, ["https://bedrock.invalid"]))
        assert (line.state, word in line.found) == (state, True)


def test_roots_of_tls(tmp_path):
    (tmp_path / "none.pem").write_text("noise")

    def state(way, needed=True):
        (line,) = asyncio.run(check_tls_roots(way, needed=needed))
        return line.state

    assert state(Way(), needed=False) == "ok"
    assert state(Way(ca_bundle=CA)) == "ok"
    assert state(Way(ca_bundle=str(tmp_path / "none.pem"))) == "fail"
    assert state(Way(ca_bundle=str(tmp_path / "absent.pem"))) == "fail"
