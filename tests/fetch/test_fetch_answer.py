from __future__ import annotations

import pytest
from fakeserver import chunked, ok
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.fetch.answer import MAX_HEAD, FetchAnswer, check_head
from anthropic_bedrock_proxy.fetch.base import FetchError, TooLargeError

UNFRAMED = b"HTTP/1.1 200 OK\r\ncontent-type: a/b\r\n\r\nto the end"
INTERIM = b"HTTP/1.1 103 Early Hints\r\ncontent-type: x/y\r\n\r\n"


def read(*pieces, limit=100):
    answer = FetchAnswer(limit)
    for piece in pieces:
        answer.receive(piece)
    return answer


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (ok(b"hello"), b"hello"),
        (ok(b""), b""),
        (chunked(b"hel", b"lo"), b"hello"),
        (INTERIM + ok(b"hello"), b"hello"),
        (ok(b"hello") + b"HTTP/1.1 junk after the end", b"hello"),
    ],
)
def test_answers_whole_and_byte_by_byte(wire, body):
    for answer in (read(wire), read(*(bytes([byte]) for byte in wire))):
        assert (answer.complete, answer.status, answer.body) == (True, 200, body)
        assert "content-type" not in answer.headers


def test_an_answer_without_a_length_ends_with_its_connection():
    answer = read(UNFRAMED)
    assert not answer.complete
    answer.receive(b"")
    assert answer.complete
    assert answer.body == b"to the end"


@pytest.mark.parametrize(
    "wire", [b"", b"HTTP/1.1 200", ok(b"hello")[:-1], chunked(b"hello", end=False), INTERIM]
)
def test_any_other_that_ends_early_is_an_error(wire):
    answer = read(*([wire] if wire else []))
    with pytest.raises(FetchError, match="too early"):
        answer.receive(b"")


def test_repeated_headers_are_joined_and_trailers_ignored():
    head = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = read(head + b"1\r\na\r\n0\r\nx-a: 3\r\n\r\n")
    assert answer.complete
    assert answer.headers["x-a"] == "1, 2"


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH_9\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nzz",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
    ],
)
def test_what_is_no_http(wire):
    with pytest.raises(FetchError, match="not valid HTTP"):
        read(wire)


@pytest.mark.parametrize(
    "wire", [ok(b"x" * 101), chunked(*[b"x"] * 101), UNFRAMED + b"x" * 100, chunked(b"x" * 1000)]
)
def test_a_body_over_the_limit(wire):
    with pytest.raises(TooLargeError, match="over 100 bytes"):
        read(*(wire[start : start + 50] for start in range(0, len(wire), 50)))


def receive_often(answer, more):
    for _ in range(3 * MAX_HEAD // len(more)):
        answer.receive(more)


@pytest.mark.parametrize(
    ("start", "more", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", "head .* too large"),
        (b"HTTP/1.1 200 OK\r\na: ", b"b", "head .* too large"),
        (b"", INTERIM, "head .* too large"),
        (chunked(end=False) + b"1;x=", b"y", "over 100 bytes"),
        (chunked(end=False) + b"0\r\n", b"trailer: x\r\n", "over 100 bytes"),
    ],
)
def test_nothing_grows_without_end(start, more, reason):
    answer = FetchAnswer(100)
    answer.receive(start or more)
    with pytest.raises(FetchError, match=reason):
        receive_often(answer, more)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        (b"content-encoding: gzip\r\n", "compressed"),
        (b"content-encoding: identity\r\ncontent-encoding: br\r\n", "compressed"),
        (b"content-length: 101\r\n", "over 100 bytes"),
        (b"transfer-encoding: gzip, chunked\r\n", "not valid HTTP"),
    ],
)
def test_heads_of_bodies_that_are_not_taken(headers, reason):
    answer = read(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\n")
    with pytest.raises(FetchError, match=reason):
        check_head(answer, 100)


def test_heads_of_bodies_that_are():
    check_head(read(ok(b"x", b"content-encoding: identity\r\n")), 1)
    check_head(read(chunked(b"x")), 1)


@given(st.lists(st.binary() | st.sampled_from([ok(b"a"), UNFRAMED, INTERIM, b"\r\n"])))
def test_junk_is_an_error_of_ours_or_an_answer(pieces):
    answer = FetchAnswer(10)
    try:
        for piece in pieces:
            answer.receive(piece)
    except FetchError:
        return
    assert len(answer.body) <= 10
