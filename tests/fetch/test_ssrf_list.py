"""A long list of ways inside: each is tried, each is refused, and they are counted."""

from __future__ import annotations

import asyncio
import gzip
import zlib

import pytest
from fakeserver import ok, serving
from ssrf_cases import ELSEWHERE, MALFORMED, NAMES, REDIRECTS, SPELLED
from test_fetcher import PUBLIC, LocalDialer, Names, by_path, hang, redirect, run

from anthropic_bedrock_proxy.fetch.answer import FetchAnswer
from anthropic_bedrock_proxy.fetch.base import (
    FetchError,
    NotAccessibleError,
    NotAllowedError,
    TooLargeError,
)
from anthropic_bedrock_proxy.fetch.fetcher import FetchOptions, WebFetcher
from anthropic_bedrock_proxy.fetch.reading.pages import ACCEPTED

TYPE = b"content-type: text/html\r\n"
PAGE = ok(b"<p>secret", TYPE)
MAX_BYTES = 100_000
REPEATED = b"x" * 1_000_000


def options(**more):
    """Returns the options of pages: the widest that there are."""
    return FetchOptions(**{"allow_http": True, "allow_downgrade": True, **more})


async def outcome_of(fetcher, url):
    try:
        return await fetcher.fetch(url, accept=ACCEPTED, max_bytes=MAX_BYTES, key="k")
    except FetchError as error:
        return error
    finally:
        fetcher.close()


def refusal(url, answer=PAGE, *, table=None, **more):
    """Fetches from a fake world; returns the error, the server, and the dialer."""

    async def main():
        async with serving(answer) as server:
            names, dialer = Names({**NAMES, **(table or {})}), LocalDialer(server.port)
            fetcher = WebFetcher(options(**more), resolver=names, dialer=dialer)
            error = await outcome_of(fetcher, url)
            assert isinstance(error, FetchError), error
            return error, server, dialer

    return run(main)


@pytest.mark.parametrize("url", SPELLED)
def test_this_machine_is_not_reached_however_it_is_spelled(url):
    """Real sockets, the real resolver, and a port that is allowed."""

    async def main():
        async with serving(PAGE) as server:
            fetcher = WebFetcher(options(allowed_ports=(server.port,)))
            error = await outcome_of(fetcher, url.format(port=server.port))
            assert isinstance(error, NotAllowedError | NotAccessibleError), error
            assert "127" not in error.reason
            assert server.connections == 0

    asyncio.run(main())


@pytest.mark.parametrize("url", [*SPELLED[:14], *SPELLED[20:23], *SPELLED[29:32]])
def test_it_would_be_reached_if_it_were_not_refused(url):
    """The spellings above are real ones, so that the test above means something."""

    async def main():
        async with serving(PAGE) as server:
            fetcher = WebFetcher(options(allowed_ports=(server.port,), allow_private=True))
            fetched = await outcome_of(fetcher, url.format(port=server.port))
            if "127.127" in url:  # nobody listens there
                assert isinstance(fetched, NotAccessibleError)
            else:
                assert fetched.body == b"<p>secret"

    asyncio.run(main())


@pytest.mark.parametrize("url", ELSEWHERE)
def test_inner_addresses_are_not_connected_to(url):
    async def main():
        dialer = LocalDialer(0)
        error = await outcome_of(WebFetcher(options(), dialer=dialer), url)
        assert isinstance(error, NotAllowedError)
        assert not dialer.opened

    asyncio.run(main())


@pytest.mark.parametrize("url", MALFORMED)
def test_urls_that_can_be_read_in_two_ways(url):
    error, _, dialer = refusal(url)
    assert isinstance(error, NotAllowedError)
    assert not dialer.opened


@pytest.mark.parametrize("name", NAMES)
def test_names_that_lead_inside(name):
    error, _, dialer = refusal(f"http://{name}/")
    assert isinstance(error, NotAccessibleError)
    assert error.reason == "its host has no public address"
    assert not dialer.opened


@pytest.mark.parametrize("location", REDIRECTS)
def test_redirects_that_lead_inside(location):
    spelled = {
        "127.0.0.1": ["127.0.0.1"],
        "2130706433": ["127.0.0.1"],
        "::1": ["::1"],
        "::ffff:7f00:1": ["::ffff:127.0.0.1"],
        "::ffff:127.0.0.1": ["::ffff:127.0.0.1"],
        "169.254.169.254": ["169.254.169.254"],
    }
    error, _, dialer = refusal("https://a.example/p", redirect(location), table=spelled)
    assert isinstance(error, NotAllowedError | NotAccessibleError)
    assert {address for _, address in dialer.opened} == {PUBLIC}


def test_a_redirect_by_way_of_another_public_server():
    table = {"/p": redirect("http://b.example/q"), "/q": redirect("http://10.0.0.1/")}
    names = {"b.example": ["1.1.1.1"], "10.0.0.1": ["10.0.0.1"]}
    error, server, _ = refusal("https://a.example/p", by_path(table), table=names)
    assert isinstance(error, NotAllowedError)
    assert len(server.requests) == 2


def test_a_name_that_is_bound_again_is_connected_to_where_it_was_checked():
    async def main():
        async with serving(PAGE) as server:
            names, dialer = (
                Names({"a.example": [[PUBLIC], ["127.0.0.1"]]}),
                LocalDialer(server.port),
            )
            fetcher = WebFetcher(options(), resolver=names, dialer=dialer)
            assert (await outcome_of(fetcher, "http://a.example/")).body == b"<p>secret"
            assert dialer.opened == [("a.example", PUBLIC)]
            again = WebFetcher(options(), resolver=names, dialer=dialer)
            assert isinstance(await outcome_of(again, "http://a.example/"), NotAccessibleError)
            assert len(dialer.opened) == 1

    run(main)


def test_a_name_that_is_bound_again_between_two_hops():
    table = {"a.example": [[PUBLIC], ["127.0.0.1"]]}
    error, server, dialer = refusal("http://a.example/p", redirect("/q"), table=table)
    assert isinstance(error, NotAccessibleError)
    assert len(server.requests) == len(dialer.opened) == 1


# Servers that mean harm: each answers in its way, for as long as it is let


def whole(*headers, body=b""):
    return b"HTTP/1.1 200 OK\r\n" + TYPE + b"".join(headers) + b"\r\n" + body


def endless(start, piece):
    """Answers without end; how much was sent is bounded by who reads."""

    async def answer(request, writer):
        writer.write(start)
        while True:
            writer.write(piece)
            await writer.drain()

    return answer


async def slow_body(request, writer):
    writer.write(whole(b"content-length: 100\r\n"))
    await hang(writer)


async def slow_head(request, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nx: ")
    await hang(writer)


async def silence(request, writer):
    await hang(writer)


async def trickle(request, writer):
    writer.write(whole())
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.001)


def packed(encoding, body):
    return whole(
        b"content-encoding: %b\r\ncontent-length: %d\r\n" % (encoding, len(body)), body=body
    )


CHUNKED = whole(b"transfer-encoding: chunked\r\n")
HOSTILE = {
    "a body of 50 MB that says so": whole(b"content-length: 52428800\r\n"),
    "a body of 50 MB that lies": endless(whole(), REPEATED),
    "a body without end in chunks": endless(CHUNKED, b"f4240\r\n" + REPEATED + b"\r\n"),
    "a body without end in chunks of a byte": endless(CHUNKED, b"1\r\nx\r\n" * 10_000),
    "extensions of a chunk without end": endless(CHUNKED + b"1;", REPEATED),
    "the size of a chunk without end": endless(CHUNKED, b"0" * 10_000),
    "a size of a chunk over all numbers": CHUNKED + b"f" * 17 + b"\r\n",
    "trailers without end": endless(CHUNKED + b"1\r\nx\r\n0\r\n", b"x: y\r\n" * 10_000),
    "headers without end": endless(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 10_000),
    "a header without end": endless(b"HTTP/1.1 200 OK\r\nx: ", REPEATED),
    "a status line without end": endless(b"HTTP/1.1 200 ", REPEATED),
    "interim answers without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000),
    "lengths that differ": whole(b"content-length: 1\r\ncontent-length: 2\r\n", body=b"xy"),
    "a length and chunks": whole(b"content-length: 1\r\ntransfer-encoding: chunked\r\n"),
    "a negative length": whole(b"content-length: -1\r\n"),
    "a bomb of gzip": packed(b"gzip", gzip.compress(bytes(10_000_000))),
    "a bomb of deflate": packed(b"deflate", zlib.compress(bytes(10_000_000))),
    "a bomb of brotli": packed(b"br", b"\x5b\xff\xff\x03" + bytes(100)),
    "a bomb of zstd": packed(b"zstd", b"\x28\xb5\x2f\xfd" + bytes(100)),
    "a bomb in several wrappings": packed(b"gzip, gzip", gzip.compress(bytes(1000))),
    "a bomb as transfer encoding": whole(b"transfer-encoding: gzip, chunked\r\n"),
    "a slow body": slow_body,
    "a slow head": slow_head,
    "silence": silence,
    "a byte now and then": trickle,
    "another protocol": b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    "an upgrade": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "a picture": ok(b"\x89PNG\r\n\x1a\n", b"content-type: image/png\r\n"),
    "a picture that is called HTML not": ok(b"\x89PNG\r\n\x1a\n"),
    "a program": ok(b"MZ", b"content-type: application/x-msdownload\r\n"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_servers_that_mean_harm(case):
    error, server, _ = refusal("http://a.example/p", HOSTILE[case], timeout_seconds=0.5)
    assert isinstance(error, FetchError)
    assert server.connections == 1


@pytest.mark.parametrize("piece", [REPEATED, b"f4240\r\n" + REPEATED + b"\r\n"])
def test_a_page_of_50_mb_costs_its_cap(piece):
    """Feeds an answer as the fetcher does, in pieces of 64 KiB, and counts what it holds."""
    answer = FetchAnswer(MAX_BYTES)
    answer.receive(CHUNKED if piece.startswith(b"f") else whole())
    step = 64 * 1024
    pieces = [(piece * 2)[at % len(piece) :][:step] for at in range(0, 50_000_000, step)]
    while pieces:
        try:
            answer.receive(pieces.pop(0))
        except TooLargeError:
            break
        assert len(answer.body) <= MAX_BYTES
    assert MAX_BYTES < len(answer.body) <= MAX_BYTES + step
    assert len(pieces) > 700


def test_a_server_gets_rid_of_no_more_than_the_buffers_of_the_network():
    sent = 0

    async def answer(request, writer):
        nonlocal sent
        writer.write(whole())
        for _ in range(50):
            writer.write(REPEATED)
            await writer.drain()
            sent += len(REPEATED)

    error, _, _ = refusal("http://a.example/p", answer)
    assert isinstance(error, TooLargeError)
    assert sent < 20_000_000


def test_the_list_is_long(capsys):
    lists = {
        "spelled": SPELLED,
        "elsewhere": ELSEWHERE,
        "malformed": MALFORMED,
        "names": NAMES,
        "redirects": REDIRECTS,
        "hostile": HOSTILE,
    }
    counts = {name: len(set(cases)) for name, cases in lists.items()}
    assert counts == {name: len(cases) for name, cases in lists.items()}  # each once
    with capsys.disabled():
        print(f"\n{sum(counts.values())} ways inside, all refused: {counts}")
    assert sum(counts.values()) >= 180
    assert counts["spelled"] + counts["elsewhere"] + counts["names"] >= 60
