"""The head of a request: what is taken, what is refused, the same however it is cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.errors import ProtocolError
from anthropic_bedrock_proxy.http.server.head import CHUNKED
from anthropic_bedrock_proxy.http.server.head_reader import HeadReader

BOUNDS = ConnectionBounds(head_bytes=2048, headers=20, target_bytes=512)


def read(data, cuts=()):
    """The head with what was left over, or the refusal, when the bytes come cut at `cuts`."""
    reader = HeadReader(BOUNDS)
    edges = [0, *sorted(cuts), len(data)]
    for start, end in pairwise(edges):
        try:
            taken = reader.receive(data[start:end])
        except ProtocolError as error:
            return error.status, str(error)
        if reader.head is not None:
            return reader.head, data[start + taken :]
        assert taken == end - start
    return None


def head_of(data):
    head, rest = read(data)
    assert rest == b""
    return head


def one_by_one(data):
    return read(data, range(1, len(data)))


def test_a_head_is_read_to_its_parts():
    data = (
        b"POST /v1/a%20b?c=%41 HTTP/1.1\r\nHost: x:80\r\nX-Y:  z \t\r\nContent-Length: 2\r\n\r\n{}"
    )
    head, rest = read(data)
    assert rest == b"{}"
    assert (head.method, head.path, head.raw_path) == ("POST", "/v1/a b", b"/v1/a%20b")
    assert (head.query, head.length, head.keep_alive, head.modern) == (b"c=%41", 2, True, True)
    assert head.headers == {b"host": b"x:80", b"x-y": b"z", b"content-length": b"2"}


@pytest.mark.parametrize(
    ("version", "connection", "kept"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: keep-alive\r\n", True),
        (b"1.1", b"Connection: close\r\n", False),
        (b"1.1", b"Connection: Keep-Alive, Close\r\n", False),
        (b"1.0", b"", False),
        (b"1.0", b"Connection: keep-alive\r\n", True),
    ],
)
@pytest.mark.parametrize("body", [b"", b"Content-Length: 2\r\n"])
def test_the_client_says_whether_the_connection_stays(version, connection, kept, body):
    head = head_of(b"GET / HTTP/%b\r\nHost: x\r\n%b%b\r\n" % (version, connection, body))
    assert head.keep_alive is kept


def test_fields_of_one_name_are_joined_in_order():
    head = head_of(b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nB: 2\r\na: 3\r\n\r\n")
    assert head.headers == {b"host": b"x", b"a": b"1, 3", b"b": b"2"}


def test_blank_lines_before_a_request_are_passed_over():
    head, rest = read(b"\r\n\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (head.path, rest) == ("/", b"")
    assert read(b"\r\n\r\n") is None
    reader = HeadReader(BOUNDS)
    assert reader.receive(b"\r\n\r\n") == 4
    assert not reader.started


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"*", "*", b""),
        (b"http://h:80/a?b", "/a", b"b"),
        (b"HTTPS://h", "/", b""),
        (b"http://h?b", "/", b"b"),
        (b"//h/a", "//h/a", b""),
        (b"/a?b?c", "/a", b"b?c"),
        (b"/%2F%00%ff", "//\0\ufffd", b""),
    ],
)
def test_every_form_of_a_target_has_a_path(target, path, query):
    head = head_of(b"OPTIONS %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
    assert (head.path, head.query) == (path, query)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"BREW / HTTP/1.1", 501),
        (b"CONNECT x:443 HTTP/1.1", 501),
        (b"get / HTTP/1.1", 501),
        (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ / HTTP/1.1", 400),
        (b"PRI * HTTP/2.0", 505),
        (b"GET / HTTP/1.2", 505),
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/11", 505),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET  / HTTP/1.1", 400),
        (b"GET / HTTP/1.1\tx", 400),
        (b"GET /", 400),
        (b"GET", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET\t/ HTTP/1.1", 400),
        (b"\x16\x03\x01\x02", 400),
        (b"GET /a#b HTTP/1.1", 400),
        (b"GET /\xff HTTP/1.1", 400),
        (b"GET /a\tb HTTP/1.1", 400),
        (b"GET ftp://h/ HTTP/1.1", 400),
        (b"GET http:///a HTTP/1.1", 400),
        (b"GET h:80 HTTP/1.1", 400),
        (b"GET /" + b"a" * 512 + b" HTTP/1.1", 414),
        (b"GET /" + b"a" * 600, 414),
        (b"BREW /" + b"a" * 600 + b" HTTP/3.0", 414),
    ],
)
def test_a_line_that_is_no_request_is_refused_however_it_is_cut(line, status):
    data = line + b"\r\nHost: x\r\n\r\n"
    refusal = read(data)
    assert refusal[0] == status
    assert one_by_one(data) == refusal
    assert one_by_one(data.replace(b"\r\n", b"\n"))[0] >= 400


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"", 400),
        (b"Host: x\r\nHost: x\r\n", 400),
        (b"Host: x\r\nhost:\r\n", 400),
        (b"Host: x y\r\n", 400),
        (b"Host: x/y\r\n", 400),
        (b"Host: [::1\r\n", 400),
        (b"Host: x\r\nContent-Length:\r\n", 400),
        (b"Host: x\r\nContent-Length: -1\r\n", 400),
        (b"Host: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n", 400),
        (b"Host: x\r\nContent-Length: 0000000000000000001\r\n", 400),
        (b"Host: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n", 501),
        (b"Host: x\r\n folded\r\n", 400),
        (b"Host: x\r\nA: " + b"b" * 2048 + b"\r\n", 431),
        (b"Host: x\r\n" + b"A: b\r\n" * 20, 431),
    ],
)
def test_fields_that_cannot_be_served_are_refused_however_they_are_cut(fields, status):
    data = b"POST / HTTP/1.1\r\n" + fields + b"\r\n"
    refusal = read(data)
    assert refusal[0] == status
    assert one_by_one(data) == refusal


def test_a_head_that_never_ends_is_refused_at_its_bound():
    reader = HeadReader(BOUNDS)
    reader.receive(b"GET / HTTP/1.1\r\nA: ")
    reader.receive(b"b" * (2048 - 19))
    with pytest.raises(ProtocolError) as refused:
        reader.receive(b"b")
    assert refused.value.status == 431


@pytest.mark.parametrize(
    "data",
    [
        b"GET\n / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\n",
        b"GET / HTTP/1.1\r\nHost: x\n",
        b"GET / HTTP/1.1\r\n\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\n",
        b"GET / HTTP/1.1\r\nHost: x\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    ],
)
def test_a_line_that_ends_in_lf_alone_is_refused_at_once(data):
    assert read(data)[0] == 400
    assert one_by_one(data) == read(data)


def test_http_1_0_needs_no_host_and_has_no_chunks():
    assert head_of(b"GET / HTTP/1.0\r\n\r\n").modern is False
    assert read(b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n")[0] == 400
    assert head_of(b"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n").expects_continue is False


@pytest.mark.parametrize(
    "connection", [b"", b"Connection: Upgrade\r\n", b"Connection: Upgrade, HTTP2-Settings\r\n"]
)
def test_an_upgrade_is_ignored(connection):
    head, rest = read(
        b"POST /a HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n%bContent-Length: 2\r\n\r\n{}" % connection
    )
    assert (head.length, head.keep_alive, rest) == (2, True, b"{}")


def test_a_body_in_chunks_has_no_length():
    assert (
        head_of(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n").length
        == CHUNKED
    )


def test_one_reader_reads_one_head_after_the_other():
    reader = HeadReader(BOUNDS)
    for path in (b"/a", b"/b"):
        for piece in (b"GET %b HTTP/1.1\r\n" % path, b"Host: x\r\n\r", b"\n"):
            assert reader.receive(piece) == len(piece)
        assert reader.head.raw_path == path
        reader.clear()
        assert not reader.started


_PIECES = st.sampled_from(
    (
        *(b"GET / HTTP/1.1", b"POST /a HTTP/1.0", b"Host: x", b"A: b", b"\r\n", b"\r", b"\n", b" "),
        *(b":", b"\r\n\r\n", b"Content-Length: 3", b"Transfer-Encoding: chunked", b"\0", b"\xff"),
        *(b"abc", b"Connection: close", b"Upgrade: h2c", b"a" * 300),
    )
)


@given(st.lists(_PIECES, max_size=14).map(b"".join), st.data())
def test_any_cut_of_any_bytes_gives_the_same(data, draw):
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=5))
    assert read(data, cuts) == read(data) == one_by_one(data)
