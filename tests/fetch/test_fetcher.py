"""The fetcher against local servers; its dialer leads every address that it connects to there."""

from __future__ import annotations

import asyncio

import pytest
from fakeserver import chunked, ok, serving, until
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.fetch.base import (
    FetchError,
    NotAccessibleError,
    NotAllowedError,
    StatusError,
    TooLargeError,
    WrongTypeError,
)
from anthropic_bedrock_proxy.fetch.dial import Stream
from anthropic_bedrock_proxy.fetch.fetcher import FetchOptions, WebFetcher
from anthropic_bedrock_proxy.fetch.guard import NOT_PUBLIC

PUBLIC = "93.184.216.34"
PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 100
IMAGES = frozenset(("image/png", "image/jpeg"))
TEXTS = frozenset(("text/*",))
TYPE = b"content-type: image/png\r\n"


class LocalDialer:
    """Connects to one local port, whatever the address, and remembers the address."""

    def __init__(self, port, *, dead=()):
        self._port = port
        self._dead = dead
        self.opened = []
        self.writers = []  # one that is forgotten closes its connection

    async def connect(self, endpoint, address):
        self.opened.append((endpoint.host, address))
        if address in self._dead:
            raise FetchError("its host cannot be connected to")
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        self.writers.append(writer)
        return Stream(reader, writer.transport)

    async def tunnel(self, endpoint, proxy):
        return await self.connect(endpoint, proxy)


class Names:
    """A resolver from a table; an answer that is a list of lists changes with every lookup."""

    def __init__(self, table=None):
        self._table = {"a.example": [PUBLIC], **(table or {})}
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append(host)
        answer = self._table.get(host)
        if answer is None:
            raise OSError("no such host")
        return answer.pop(0) if isinstance(answer[0], list) else answer


def redirect(location, status=302):
    return b"HTTP/1.1 %d Found\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % (
        status,
        location.encode(),
    )


async def hang(writer):
    """Says nothing more."""
    await writer.wait_closed()


def run(main):
    """Runs a test, and its servers to their ends."""

    async def whole():
        result = await main()
        await until(lambda: len(asyncio.all_tasks()) == 1)
        return result

    return asyncio.run(whole())


def by_path(table):
    """Answers by the path of the request."""

    async def answer(request, writer):
        writer.write(table[request.split(b" ")[1].decode()])

    return answer


def fetch(
    url="https://a.example/p", answer=b"", *, names=None, accept=IMAGES, max_bytes=1000, **options
):
    """Runs one fetch: its outcome, the server's view and the dialer's."""

    async def main():
        async with serving(answer) as server:
            dialer = LocalDialer(server.port, dead=options.pop("dead", ()))
            fetcher = WebFetcher(FetchOptions(**options), resolver=names or Names(), dialer=dialer)
            try:
                outcome = await fetcher.fetch(url, accept=accept, max_bytes=max_bytes, key="k")
            except FetchError as error:
                outcome = error
            fetcher.close()
            return outcome, server, dialer

    return run(main)


def reason(*args, **options):
    outcome, _, _ = fetch(*args, **options)
    assert isinstance(outcome, FetchError), outcome
    return outcome.reason


@pytest.mark.parametrize(
    "answer",
    [
        ok(PNG, TYPE),
        ok(PNG),
        chunked(PNG[:5], PNG[5:]),
        ok(PNG, b"content-type: binary/octet-stream\r\n"),
    ],
)
def test_an_image_is_fetched(answer):
    fetched, server, dialer = fetch(answer=answer)
    assert (fetched.body, fetched.media_type) == (PNG, "image/png")
    assert fetched.url == "https://a.example/p"
    assert dialer.opened == [("a.example", PUBLIC)]
    head = server.requests[0].decode()
    assert head.startswith("GET /p HTTP/1.1\r\nhost: a.example\r\nuser-agent: anthropic-bedrock-")
    assert "accept: image/jpeg, image/png\r\naccept-encoding: identity\r\n" in head
    assert not {"cookie", "authorization", "referer"} & set(head.lower().split())


def test_a_text_comes_with_its_charset():
    answer = ok(b"<p>", b"content-type: text/html; charset=ISO-8859-1\r\n")
    fetched, _, _ = fetch(answer=answer, accept=TEXTS)
    assert (fetched.media_type, fetched.charset) == ("text/html", "iso-8859-1")


def test_an_answer_that_ends_with_its_connection():
    async def answer(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + PNG)
        return True

    fetched, _, _ = fetch(answer=answer)
    assert fetched.body == PNG


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["10.0.0.1"],
        ["::1"],
        ["fd00:ec2::254"],
        ["::ffff:127.0.0.1"],
        [PUBLIC, "10.0.0.1"],  # one is enough
        ["10.0.0.1", PUBLIC],
        [],
    ],
)
def test_no_host_with_an_inner_address_is_connected_to(addresses):
    names = Names({"a.example": addresses} if addresses else {"a.example": [[]]})
    outcome, server, dialer = fetch(names=names)
    assert outcome.reason == NOT_PUBLIC
    assert server.connections == 0
    assert not dialer.opened


def test_a_name_that_does_not_resolve_looks_like_an_inner_one():
    assert reason("https://nowhere.example/") == NOT_PUBLIC


def test_a_name_is_resolved_once_so_it_cannot_be_bound_again():
    names = Names({"a.example": [[PUBLIC], ["127.0.0.1"]]})
    fetched, _, dialer = fetch(answer=ok(PNG, TYPE), names=names)
    assert fetched.body == PNG
    assert names.asked == ["a.example"]
    assert dialer.opened == [("a.example", PUBLIC)]


def test_every_hop_is_resolved_and_checked_again():
    names = Names({"a.example": [[PUBLIC], ["127.0.0.1"]]})
    outcome, server, dialer = fetch(answer=redirect("/q"), names=names)
    assert outcome.reason == NOT_PUBLIC
    assert len(server.requests) == len(dialer.opened) == 1


def test_the_next_address_is_tried_when_one_is_dead():
    names = Names({"a.example": ["1.1.1.1", PUBLIC]})
    fetched, _, dialer = fetch(answer=ok(PNG, TYPE), names=names, dead=("1.1.1.1",))
    assert fetched.body == PNG
    assert [address for _, address in dialer.opened] == ["1.1.1.1", PUBLIC]


def test_not_every_address_of_many_is_tried():
    many = [f"1.1.1.{index}" for index in range(50)]
    outcome, _, dialer = fetch(names=Names({"a.example": many}), dead=many)
    assert outcome.reason == "its host cannot be connected to"
    assert len(dialer.opened) == 4


def test_redirects_are_followed():
    table = {
        "/p": redirect("/q", 301),
        "/q": redirect("https://b.example/r?s#t", 307),
        "/r?s": redirect("//a.example/ü x", 308),
        "/%C3%BC%20x": ok(PNG, TYPE),
    }
    names = Names({"b.example": ["1.1.1.1"]})
    fetched, server, dialer = fetch(answer=by_path(table), names=names)
    assert fetched.url == "https://a.example/%C3%BC%20x"
    assert [host[0] for host, _ in dialer.opened] == ["a", "a", "b", "a"]
    assert b"referer" not in b"".join(server.requests).lower()


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://inner.example/", NOT_PUBLIC),
        ("https://169.254.169.254/latest/meta-data", NOT_PUBLIC),
        ("https://[::ffff:127.0.0.1]/", NOT_PUBLIC),
        ("http://a.example/", "redirects, and only https URLs are fetched"),
        ("file:///etc/passwd", "redirects, and it is no https URL"),
        ("https://user@a.example/", "redirects, and the URL has a user name"),
        ("https://a.example:22/", "redirects, and port 22 is not allowed"),
        ("https://[", "redirects to something that is no URL"),
        ("https://blocked.example/", "redirects, and the operator"),
        ("/p", "redirects more than 3 times"),
    ],
)
def test_redirects_that_are_not_followed(location, expected):
    table = {
        "inner.example": ["10.0.0.1"],
        "169.254.169.254": ["169.254.169.254"],
        "::ffff:7f00:1": ["::ffff:127.0.0.1"],
        "::ffff:127.0.0.1": ["::ffff:127.0.0.1"],
    }
    outcome, _, dialer = fetch(
        answer=redirect(location), names=Names(table), blocked_hosts=("blocked.example",)
    )
    assert expected in outcome.reason
    assert {host for host, _ in dialer.opened} == {"a.example"}


def test_https_never_becomes_http_even_where_http_is_allowed():
    answer = redirect("http://a.example/")
    assert reason(answer=answer, allow_http=True) == "it redirects from https to http"


def test_https_may_become_http_where_that_is_allowed_too():
    table = {"/p": redirect("http://a.example/q"), "/q": ok(PNG, TYPE)}
    fetched, _, _ = fetch(answer=by_path(table), allow_http=True, allow_downgrade=True)
    assert fetched.url == "http://a.example/q"


def test_redirects_to_http_are_checked_as_ever():
    options = {"allow_http": True, "allow_downgrade": True}
    for location in ("http://10.0.0.1/", "http://a.example:8080/", "http://u@a.example/"):
        names = Names({"10.0.0.1": ["10.0.0.1"]})
        outcome, _, dialer = fetch(answer=redirect(location), names=names, **options)
        assert isinstance(outcome, NotAllowedError)
        assert len(dialer.opened) == 1


@pytest.mark.parametrize(
    ("url", "table", "kind"),
    [
        # One kind of error for a name that leads inside and for one that leads nowhere.
        ("https://inner.example/", {"inner.example": ["10.0.0.1"]}, NotAccessibleError),
        ("https://nowhere.example/", {}, NotAccessibleError),
        # Who spells an address has no secret to learn.
        ("https://127.1/", {"127.1": ["127.0.0.1"]}, NotAllowedError),
        ("https://[::1]/", {"::1": ["::1"]}, NotAllowedError),
    ],
)
def test_kinds_of_errors_tell_nothing_of_names_inside(url, table, kind):
    outcome, _, _ = fetch(url, names=Names(table))
    assert type(outcome) is kind
    assert outcome.reason == NOT_PUBLIC


@pytest.mark.parametrize(
    ("url", "answer", "kind"),
    [
        ("https://a.example:22/", b"", NotAllowedError),
        ("http://a.example/", b"", NotAllowedError),
        ("https://u:p@a.example/", b"", NotAllowedError),
        ("https://blocked.example/", b"", NotAllowedError),
        ("https://a.example/", b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", StatusError),
        ("https://a.example/", b"junk\r\n\r\n", NotAccessibleError),
        ("https://a.example/", ok(b"<p>", b"content-type: text/html\r\n"), WrongTypeError),
        ("https://a.example/", ok(PNG * 20, TYPE), TooLargeError),
    ],
)
def test_errors_tell_their_kind(url, answer, kind):
    outcome, _, _ = fetch(url, answer, blocked_hosts=("blocked.example",))
    assert type(outcome) is kind


def test_a_fetch_says_who_asks_and_when():
    async def main():
        async with serving(ok(PNG, TYPE)) as server:
            fetcher = WebFetcher(
                FetchOptions(user_agent="curious/1.0 (+https://b.example)"),
                resolver=Names(),
                dialer=LocalDialer(server.port),
                now=lambda: 12.5,
            )
            fetched = await fetcher.fetch(
                "https://a.example/", accept=IMAGES, max_bytes=1000, key="k"
            )
            fetcher.close()
            assert fetched.retrieved_at == 12.5
            assert b"\r\nuser-agent: curious/1.0 (+https://b.example)\r\n" in server.requests[0]

    run(main)


def test_http_may_become_https_where_it_is_allowed():
    table = {"/p": redirect("https://a.example/q"), "/q": ok(PNG, TYPE)}
    fetched, _, _ = fetch("http://a.example/p", by_path(table), allow_http=True)
    assert fetched.url == "https://a.example/q"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", "answered with status 404"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "answered with status 204"),
        (b"HTTP/1.1 206 Partial Content\r\n\r\n", "answered with status 206"),
        (b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n", "answered with status 302"),
        (b"HTTP/1.1 304 Not Modified\r\nlocation: /\r\n\r\n", "answered with status 304"),
        (ok(b"<html>", b"content-type: text/html\r\n"), "its media type is text/html"),
        (ok(b"<html>", TYPE), "something else"),
        (ok(b"<html>"), "application/octet-stream"),
        (ok(PNG, TYPE + b"content-encoding: gzip\r\n"), "compressed"),
        (b"junk\r\n\r\n", "not valid HTTP"),
    ],
)
def test_answers_that_are_refused(answer, expected):
    assert expected in reason(answer=answer)


def test_a_cut_answer():
    async def answer(request, writer):
        writer.write(ok(PNG, TYPE)[:-1])
        return True

    assert reason(answer=answer) == "the server closed the connection too early"


def test_a_broken_connection():
    class Dialer(LocalDialer):
        async def connect(self, endpoint, address):
            stream = await super().connect(endpoint, address)
            stream.reader.set_exception(ConnectionResetError("by 10.0.0.1"))
            return stream

    async def main():
        async with serving(b"") as server:
            fetcher = WebFetcher(resolver=Names(), dialer=Dialer(server.port))
            with pytest.raises(FetchError) as refused:
                await fetcher.fetch("https://a.example/", accept=IMAGES, max_bytes=1, key="k")
            assert refused.value.reason == "the connection to its server broke"

    run(main)


def test_a_declared_length_over_the_limit_is_not_read():
    async def answer(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n" + TYPE + b"\r\n")

    outcome, _, _ = fetch(answer=answer)
    assert isinstance(outcome, TooLargeError)
    assert outcome.reason == "it is over 1000 bytes"


@pytest.mark.parametrize("framing", [b"", b"transfer-encoding: chunked\r\n"])
def test_a_body_without_end_is_left(framing):
    async def answer(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n" + TYPE + framing + b"\r\n")
        while True:
            writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n" if framing else b"x" * 1024)
            await writer.drain()

    outcome, _, _ = fetch(answer=answer)
    assert isinstance(outcome, TooLargeError)


def test_the_operators_limit_of_size_holds_too():
    async def main():
        async with serving(ok(PNG, TYPE)) as server:
            fetcher = WebFetcher(
                FetchOptions(max_bytes=50), resolver=Names(), dialer=LocalDialer(server.port)
            )
            with pytest.raises(TooLargeError, match="over 50 bytes"):
                await fetcher.fetch("https://a.example/", accept=IMAGES, max_bytes=1000, key="k")

    run(main)


@pytest.mark.parametrize(
    "start", [b"", b"HTTP/1.1 200 OK\r\n", ok(PNG, TYPE)[:-1], b"HTTP/1.1 100 Continue\r\n\r\n"]
)
def test_a_server_that_stops_talking(start):
    async def answer(request, writer):
        writer.write(start)
        await hang(writer)

    expected = "it did not arrive within 0.05 seconds"
    assert reason(answer=answer, timeout_seconds=0.05) == expected


def test_a_server_that_trickles():
    async def answer(request, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n" + TYPE + b"\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.001)

    expected = "it did not arrive within 0.05 seconds"
    assert reason(answer=answer, timeout_seconds=0.05, max_bytes=10**6) == expected


@pytest.mark.parametrize(
    ("slow_names", "options", "expected"),
    [
        (True, {"timeout_seconds": 0.02}, "it did not arrive within 0.02 seconds"),
        (False, {"connect_timeout_seconds": 0.02}, "its host cannot be connected to in time"),
        (
            False,
            {"connect_timeout_seconds": 0.02, "https_proxy": "http://p:1", "trust_proxy": True},
            "its host cannot be connected to in time",
        ),
    ],
)
def test_names_and_connections_that_take_too_long(slow_names, options, expected):
    async def main():
        never = asyncio.Event()

        async def resolver(host, port):
            if slow_names:
                await never.wait()
            return [PUBLIC]

        class Dialer:
            async def connect(self, endpoint, address):
                await never.wait()

            tunnel = connect

        fetcher = WebFetcher(FetchOptions(**options), resolver=resolver, dialer=Dialer())
        with pytest.raises(FetchError) as refused:
            await fetcher.fetch("https://a.example/", accept=IMAGES, max_bytes=1, key="k")
        assert refused.value.reason == expected

    run(main)


def test_fetches_wait_for_their_turn():
    async def main():
        running, most, go = 0, 0, asyncio.Event()

        async def resolver(host, port):
            nonlocal running, most
            running += 1
            most = max(most, running)
            await go.wait()
            running -= 1
            raise OSError

        fetcher = WebFetcher(FetchOptions(max_concurrent=2), resolver=resolver)
        fetches = [
            asyncio.create_task(
                fetcher.fetch("https://a.example/", accept=IMAGES, max_bytes=1, key=f"{n}")
            )
            for n in range(6)
        ]
        while running < 2:
            await asyncio.sleep(0)
        go.set()
        done = await asyncio.gather(*fetches, return_exceptions=True)
        assert [error.reason for error in done] == [NOT_PUBLIC] * 6
        assert most == 2

    run(main)


def test_slow_urls_of_one_key_leave_room_for_another():
    """It took 19 seconds until the other's turn came."""

    async def main():
        held = 0

        async def resolver(host, port):
            nonlocal held
            if host == "fast.example":
                raise OSError
            held += 1
            await asyncio.Event().wait()

        fetcher = WebFetcher(FetchOptions(max_concurrent=16), resolver=resolver)

        def begin(key, host="slow.example"):
            fetched = fetcher.fetch(f"https://{host}/", accept=IMAGES, max_bytes=1, key=key)
            return asyncio.create_task(fetched)

        slow = [begin(key) for key in ("a", "b", "c") for _ in range(50)]
        await asyncio.sleep(0)
        assert held == 8 + 4 + 2
        (done,) = await asyncio.gather(begin("d", "fast.example"), return_exceptions=True)
        assert done.reason == NOT_PUBLIC
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    run(main)


def test_waiting_for_a_turn_counts():
    async def main():
        never = asyncio.Event()

        async def resolver(host, port):
            await never.wait()

        fetcher = WebFetcher(
            FetchOptions(max_concurrent=1, timeout_seconds=0.02), resolver=resolver
        )
        both = [
            fetcher.fetch("https://a.example/", accept=IMAGES, max_bytes=1, key="k")
            for _ in range(2)
        ]
        done = await asyncio.gather(*both, return_exceptions=True)
        assert all("did not arrive" in error.reason for error in done)

    run(main)


def test_a_cancelled_fetch_drops_its_connection():
    async def main():
        async def answer(request, writer):
            writer.write(ok(PNG, TYPE)[:-1])
            await hang(writer)

        async with serving(answer) as server:
            dialer = LocalDialer(server.port)
            fetcher = WebFetcher(resolver=Names(), dialer=dialer)
            task = asyncio.create_task(
                fetcher.fetch("https://a.example/", accept=IMAGES, max_bytes=1000, key="k")
            )
            await until(lambda: server.requests)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert dialer.writers[0].transport.is_closing()

    run(main)


# Through an egress proxy


def test_an_egress_proxy_is_not_trusted_by_itself():
    names = Names()
    outcome, _, dialer = fetch(https_proxy="http://egress.example:3128", names=names)
    assert "egress proxy" in outcome.reason
    assert "inner" not in outcome.reason
    assert not dialer.opened
    assert not names.asked


def test_a_trusted_egress_proxy_resolves():
    names = Names()
    proxy = "http://egress.example:3128"
    fetched, _, dialer = fetch(
        answer=ok(PNG, TYPE), https_proxy=proxy, trust_proxy=True, names=names
    )
    assert fetched.body == PNG
    assert dialer.opened == [("a.example", proxy)]
    assert not names.asked


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "0x7f.1", "[::1]", "169.254.169.254"])
def test_even_a_trusted_one_is_not_asked_for_inner_addresses(host):
    outcome, _, dialer = fetch(
        f"https://{host}/", https_proxy="http://egress.example:3128", trust_proxy=True
    )
    assert outcome.reason == NOT_PUBLIC
    assert not dialer.opened


def test_hosts_that_need_no_egress_proxy_are_checked_as_ever():
    options = {"https_proxy": "http://egress.example:3128", "no_proxy": "a.example"}
    fetched, _, dialer = fetch(answer=ok(PNG, TYPE), **options)
    assert fetched.body == PNG
    assert dialer.opened == [("a.example", PUBLIC)]
    assert reason(names=Names({"a.example": ["10.0.0.1"]}), **options) == NOT_PUBLIC


@given(st.text() | st.text().map(lambda text: f"https://{text}") | st.from_regex(r"https?://.*"))
def test_whatever_the_url_is_only_our_error_comes(url):
    async def resolver(host, port):
        return ["127.0.0.1"]

    async def main():
        with pytest.raises(FetchError):
            await WebFetcher(FetchOptions(allow_http=True), resolver=resolver).fetch(
                url, accept=IMAGES, max_bytes=1, key="k"
            )

    run(main)
