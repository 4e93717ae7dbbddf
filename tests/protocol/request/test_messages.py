from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from streams import encode

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.protocol.request import messages
from anthropic_bedrock_proxy.protocol.request.messages import check_version, parse_request

OK = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "a"}]}


def refusal(body, **options):
    with pytest.raises(InvalidRequestError) as refused:
        parse_request(body, "2023-06-01", **options)
    return refused.value.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": ...}, "model: Field required"),
        ({"model": 1}, "model: Expected `str`, got `int`"),
        ({"model": "m" * 2049}, "model: Expected `str` of length <= 2048"),
        ({"max_tokens": ...}, "max_tokens: Field required"),
        ({"max_tokens": -1}, "max_tokens: must be greater than or equal to 0"),
        ({"max_tokens": "1"}, "max_tokens: Expected `int`, got `str`"),
        ({"messages": ...}, "messages: Field required"),
        ({"messages": []}, "messages: at least one message is required"),
        ({"messages": "a"}, "messages: Expected `array`, got `str`"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages.0.role: Unexpected role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}, {"text": "a"}]}]},
            "messages.0.content.1.type: Field required",
        ),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content: Expected"),
        ({"stream": "yes"}, "stream: Expected `bool | null`, got `str`"),
        ({"tools": [{"name": 1}]}, "tools.0.name: Expected `str`, got `int`"),
    ],
)
def test_refusals_name_the_path(change, message):
    body = {name: value for name, value in {**OK, **change}.items() if value is not ...}
    assert refusal(encode(body)).startswith(message)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"model": "\xff"}'])
def test_what_is_not_json_is_refused(body):
    assert refusal(body).startswith("The request body is not valid JSON")


@pytest.mark.parametrize(
    "at", [0, 1 << 10, messages._UTF8_PIECE - 40, 3 * messages._UTF8_PIECE], ids=str
)
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_every_string_must_be_utf_8_even_those_that_nobody_reads(at, kind):
    start = encode(OK)[:-1] + b',"thinking":"' + b"a" * at
    for good in ("é", "日本", "😀"):
        for shift in range(4):  # a letter may stand across two pieces
            parse_request(kind(start + b"x" * shift + good.encode() + b'"}'), "2023-06-01")
    for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80"):
        assert refusal(kind(start + bad + b'"}')).startswith("The request body is not valid JSON")


@pytest.mark.parametrize("name", ["messages", "thinking", "new"])
def test_nesting_without_end_is_refused(name):
    deep = b"[" * 20_000 + b"]" * 20_000  # CPython 3.12 and later go deeper than 3.11
    body = encode(OK)[:-1] + b',"%b":%b}' % (name.encode(), deep)
    message = refusal(body)
    assert message == "The request body is nested too deeply" or message.startswith("messages")


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"null"])
def test_what_is_not_an_object_is_refused(body):
    assert refusal(body).startswith("The request body is not an object")


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_body_does_worse_than_a_refusal(body):
    with suppress(InvalidRequestError):
        parse_request(body, "2023-06-01")


def test_counting_needs_no_max_tokens():
    body = encode({k: v for k, v in OK.items() if k != "max_tokens"})
    assert parse_request(body, "2023-06-01", counting=True).view.model == "m"


def test_the_number_of_messages_is_bounded():
    many = {**OK, "messages": OK["messages"] * (messages.MAX_MESSAGES + 1)}
    assert refusal(encode(many)) == "messages: at most 100000 messages are allowed"


def test_versions():
    assert check_version(None) == "2023-06-01"
    assert check_version("2026-10-21") == "2026-10-21"
    with pytest.raises(InvalidRequestError, match="2023-06-01, 2026-10-21"):
        check_version("2020-01-01")


@pytest.mark.parametrize(
    ("version", "read_as"),
    [
        ("2026-10-22", "2026-10-21"),
        ("2031-12-31", "2026-10-21"),
        ("2026-10-20", "2023-06-01"),
        ("2024-01-01", "2023-06-01"),
    ],
)
def test_a_later_version_is_read_as_the_newest_known_before_it(version, read_as):
    assert check_version(version) == read_as


@pytest.mark.parametrize(
    "version",
    ["2023-01-01", "2023-05-31", "latest", "20261022", "2027-13-01", "2027-01-00", "2027-1-1",
     "2027-01-01 ", "bedrock-2023-05-31", "v2027-01-01", "\u0662027-01-01", ""],
)  # fmt: skip
def test_what_is_no_version_is_refused(version):
    with pytest.raises(InvalidRequestError, match=r"^anthropic-version: "):
        check_version(version)


def test_string_content_in_a_strict_version():
    assert parse_request(encode(OK), "2026-10-21").view.messages[0].content == "a"


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k"])
def test_sampling_may_be_left_to_the_model_under_the_newest_version(name):
    body = encode({**OK, name: 1})
    with pytest.raises(InvalidRequestError, match=f"^{name}: not supported with"):
        parse_request(body, "2026-10-21")
    assert name in parse_request(body, "2026-10-21", drops_sampling=True).fields
