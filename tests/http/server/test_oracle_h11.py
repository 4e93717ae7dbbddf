"""h11 as an oracle: it reads the same requests as we do, and reads our answers as we meant them."""

from __future__ import annotations

import re
from itertools import pairwise

import h11
from hypothesis import example, given, settings
from hypothesis import strategies as st
from peers import by_h11, by_ours

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds
from anthropic_bedrock_proxy.http.server.clock import Clock
from anthropic_bedrock_proxy.http.server.connection import Connection
from anthropic_bedrock_proxy.http.server.request_reader import Leave

# Refused by us and taken by h11, on purpose: what two readers may understand in two ways.
STRICTER = (
    r"The method is none of those served",
    r"Only HTTP/1\.1 and HTTP/1\.0 are served",  # h11 reads any one-digit version
    r"The request line is not that of",  # h11 splits it at other blanks too, and takes a bare LF
    r"This is no request of HTTP/1\.1",  # a method over 24 letters
    r"The Host header must be there once, and name a host",  # h11 takes any value
    r"The request target has characters that no URL has",
    r"The request target has a fragment",
    r"The request target must be a path or an http URL",
    r"Transfer-Encoding is not part of HTTP/1\.0",
    r"expect: only 100-continue is known",
    r"content-length: this is no length",  # over 18 digits
    r"Content-Length can't be present with Transfer-Encoding",  # h11 lets the latter win
    r"Transfer-Encoding can't be present with Content-Length",
    r"Duplicate Content-Length",  # h11 takes equal ones for one
    r"Content-Length already present",  # h11 takes a second one that says the same
    r"Invalid character in Content-Length",  # h11 takes a list of one number twice
    r"Unexpected whitespace after header value",  # folded lines
    r"Unexpected space after start line",
    r"A line of the request's headers does not end in CRLF",
    r"Expected LF after headers|Missing expected LF after header value",  # bare CR
    r"Invalid header (value|field) char",  # control characters
    r"Invalid header token",
    r"A line between the chunks of the body does not end in CRLF",
    r"The size of a chunk of the request body is no hexadecimal number",  # 16 digits; extensions
    r"A trailer of the request body is not valid",  # folded
)

_names = st.sampled_from([b"A", b"x-b", b"X-B", b"Content-Type", b"Accept", b"Upgrade"])
_values = st.binary(max_size=12).map(lambda value: re.sub(rb"[^\t -~\x80-\xff]", b"", value))
_blanks = st.sampled_from([b"", b" ", b"\t", b"  \t "])
_fields = st.tuples(_names, _blanks, _values, _blanks).map(lambda parts: b"%b:%b%b%b\r\n" % parts)
_methods = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"])
_targets = st.sampled_from([b"/", b"/a/b?c=d&e", b"/%20%ff", b"*", b"//x"])
_connections = st.sampled_from(
    [b""] * 5
    + [b"Connection: close\r\n", b"connection: Keep-Alive , foo\r\n", b"Connection: upgrade\r\n"]
    + [b"Connection:a,CLOSE\r\n", b"Connection: keep-alive\r\nConnection: close\r\n"]
)
_expectations = st.sampled_from([b""] * 5 + [b"Expect: 100-Continue\r\n"])


@st.composite
def bodies(draw):
    """Header lines and the body that they frame."""
    body = draw(st.binary(max_size=60))
    kind = draw(st.sampled_from(["none", "length", "chunks"]))
    if kind == "none":
        return b"", b""
    if kind == "length":
        return b"Content-Length:%b%d\r\n" % (draw(_blanks), len(body)), body
    wire = b""
    while body:
        size = draw(st.integers(1, len(body)))
        extension = draw(st.sampled_from([b"", b"", b";a", b";a=b ", b';a="b\t"']))
        wire += b"%x%b\r\n%b\r\n" % (size, extension, body[:size])
        body = body[size:]
    trailers = draw(st.sampled_from([b"", b"", b"A: b\r\n", b"A: b\r\nC:d \r\n"]))
    return b"Transfer-Encoding: chunked\r\n", wire + b"0\r\n%b\r\n" % trailers


@st.composite
def requests(draw):
    """A request that everybody understands in the same way."""
    framing, body = draw(bodies())
    lines = [draw(_connections), draw(_expectations), framing, *draw(st.lists(_fields, max_size=3))]
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0"]))
    if version == b"1.0" and framing.startswith(b"T"):
        version = b"1.1"
    lines = draw(st.permutations([line for line in lines if line] + [b"Host:\tx:80 \r\n"]))
    line = b"%b %b HTTP/%b\r\n" % (draw(_methods), draw(_targets), version)
    return line + b"".join(lines) + b"\r\n" + body


def same(mine, other):
    """Both are one request; the application was told to go on, so Expect is gone from ours."""
    for read in (mine, other):
        read.headers.pop(b"expect", None)
    assert mine == other


@given(st.lists(requests(), min_size=1, max_size=3).map(b"".join))
@settings(max_examples=300)
def test_requests_in_a_row_are_read_as_h11_reads_them(data):
    ours, theirs = by_ours(data), by_h11(data)
    for mine, other in zip(ours.requests, theirs.requests, strict=True):
        same(mine, other)
    assert ours == theirs
    assert ours.refusal == ""


@given(requests(), requests())
@settings(max_examples=100)
def test_a_cut_at_any_byte_changes_nothing(first, second):
    data = first + second
    whole = by_ours(data)
    assert by_ours(data, range(1, len(data))) == whole
    for cut in range(1, len(data)):
        assert by_ours(data, [cut]) == whole


_damage = st.sampled_from(
    (
        *(
            b"\r",
            b"\n",
            b"\r\n",
            b"\r\n\r\n",
            b" ",
            b"\t",
            b"\0",
            b":",
            b",",
            b"\x0b",
            b"\xff",
            b"0",
        ),
        *(
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Host: x\r\n",
            b"Expect: x",
        ),
        *(
            b"#",
            b"1",
            b"a",
            b";",
            b"GET / HTTP/1.1\r\n",
            b"HTTP/1.0",
            b"HTTP/2.0",
            b"chunked",
            b"-",
        ),
    )
)


@st.composite
def damaged(draw):
    """Requests with something put in, taken out or put in the place of something else."""
    data = b"".join(draw(st.lists(requests(), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(_damage) + data[at + draw(st.integers(0, 3)) :]
    return data.lstrip(
        b"\r\n"
    )  # blank lines before a request: h11 refuses what is to be passed over


def is_blank(refusal, data):
    """Whether h11 refuses a CR or an LF between two requests or behind the last, which we skip."""
    return (
        refusal == "no request line received"
        or refusal.startswith("illegal request line: bytearray(b'\\r")
        or (refusal == "illegal request line" and data.endswith(b"\r"))
    )


@given(damaged())
@example(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\r")
@example(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n\rGET / HTTP/1.1\r\nHost: x\r\n\r\n")
@settings(max_examples=700)
def test_we_read_nothing_that_h11_refuses_and_refuse_only_what_is_listed(data):
    ours, theirs = by_ours(data), by_h11(data)
    laxer = is_blank(theirs.refusal, data)
    assert laxer or len(ours.requests) <= len(theirs.requests)
    assert laxer or ours.refusal or not theirs.refusal
    for index, mine in enumerate(ours.requests[: len(theirs.requests)]):
        other = theirs.requests[index]
        if not mine.complete and ours.refusal:  # h11 hands out what came before a bad chunk
            assert (mine.method, mine.target) == (other.method, other.target)
            assert other.body.startswith(mine.body)
        else:
            same(mine, other)
    if ours.refusal and len(theirs.requests) > sum(read.complete for read in ours.requests):
        taken = theirs.requests[sum(read.complete for read in ours.requests)]
        listed = any(re.search(reason, ours.refusal) for reason in STRICTER)
        assert listed or (theirs.refusal and not taken.complete), ours.refusal


_parts = st.lists(st.binary(max_size=30), max_size=4)
_LINES = b"content-type: text/plain\r\n"


def write_answer(connection, kind, parts):
    """Answers in one of all ways; returns the status and the body that was meant."""
    body = b"".join(parts)
    if kind in ("whole", "none", "not modified"):
        status = {"whole": 200, "none": 204, "not modified": 304}[kind]
        connection.answer(status, _LINES, body)
        return status, body if status == 200 else b""
    connection.begin(200, _LINES, len(body) if kind == "of known length" else None)
    for part in parts:
        connection.write(part)
    connection.end()
    return 200, body


def read_by_h11(data, method, cuts):
    """Status, headers, body and whether the connection stays, as an h11 client has them."""
    wire = h11.Connection(h11.CLIENT)
    wire.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    wire.send(h11.EndOfMessage())
    status, headers, body = 0, {}, b""
    for start, end in pairwise([0, *sorted(cuts), len(data)]):
        if start < end:
            wire.receive_data(data[start:end])
        while (event := wire.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Response):
                status, headers = event.status_code, dict(event.headers)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return status, headers, body, wire.their_state is h11.DONE
    wire.receive_data(b"")
    assert isinstance(wire.next_event(), h11.EndOfMessage)
    return status, headers, body, False


@given(
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from(["1.0", "1.1"]),
    st.sampled_from(["", "Connection: close\r\n", "Connection: keep-alive\r\n"]),
    st.sampled_from(["whole", "none", "not modified", "in parts", "of known length"]),
    _parts,
)
@settings(max_examples=300)
def test_our_answers_are_read_as_they_were_meant(method, version, option, kind, parts):
    connection = Connection(ConnectionBounds(), Clock())
    connection.receive(f"{method} / HTTP/{version}\r\nHost: x\r\n{option}\r\n".encode())
    status, body = write_answer(connection, kind, parts)
    data = b"".join(connection.out)
    keeps = connection.leave is Leave.STAY
    expected = (status, b"" if method == "HEAD" else body, keeps)
    cuts = [(), range(1, len(data)), *([cut] for cut in range(1, len(data)))]
    for each in cuts:
        seen, headers, got, kept = read_by_h11(data, method, each)
        assert (seen, got, kept) == expected
        assert headers[b"content-type"] == b"text/plain"
        if version == "1.0":
            assert b"transfer-encoding" not in headers


@given(st.binary(min_size=1, max_size=40), st.integers(0, 3))
def test_answers_to_what_was_no_request_are_read_and_end_the_connection(body, requests_before):
    connection = Connection(ConnectionBounds(), Clock())
    data = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * requests_before + b"GET / HTTP/1.1\r\n\r\n"
    connection.receive(data)
    for _ in range(requests_before):
        connection.answer(200, _LINES, body)
    assert connection.refusal is not None
    connection.out.clear()
    connection.answer(400, _LINES, body)
    answer = b"".join(connection.out)
    for cut in range(1, len(answer)):
        assert read_by_h11(answer, "GET", [cut])[:3:2] == (400, body)
    assert read_by_h11(answer, "GET", ())[3] is False
    assert connection.leave is Leave.LINGER
