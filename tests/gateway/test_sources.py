from __future__ import annotations

import asyncio
import gc
import json
from base64 import b64decode, b64encode
from contextlib import suppress

import pytest

from anthropic_bedrock_proxy.errors import InvalidRequestError, RateLimitError
from anthropic_bedrock_proxy.fetch.base import BusyError, Fetched, FetchError, TooLargeError
from anthropic_bedrock_proxy.gateway import sources
from anthropic_bedrock_proxy.gateway.sources import MAX_IMAGE, MAX_TOTAL, Sources, has_urls
from anthropic_bedrock_proxy.protocol.request.messages import parse_request

A, B = "https://a.example/a", "https://a.example/b"
PNG = Fetched(b"png", "image/png", A)
PDF = Fetched(b"pdf", "application/pdf", A)


class FakeFetcher:
    """Gives what its table says; remembers what it was asked for."""

    def __init__(self, table):
        self._table = table
        self.asked = []

    async def fetch(self, url, *, accept, max_bytes, key):
        self.asked.append((url, accept, max_bytes))
        await asyncio.sleep(0)
        outcome = self._table[url]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def image(url=A, **more):
    return {"type": "image", "source": {"type": "url", "url": url}, **more}


def document(url=A, **more):
    return {**image(url, **more), "type": "document"}


def result(*blocks):
    return {"type": "tool_result", "tool_use_id": "t", "content": list(blocks)}


def holder(*blocks):
    return {"type": "document", "source": {"type": "content", "content": list(blocks)}}


def base64(fetched=PNG):
    return {
        "type": "base64",
        "media_type": fetched.media_type,
        "data": b64encode(fetched.body).decode(),
    }


TEXT = {"type": "text", "text": "hello"}


def parsed(*messages):
    body = {"model": "m", "max_tokens": 1, "messages": list(messages)}
    return parse_request(json.dumps(body).encode(), "2023-06-01")


def user(*blocks):
    return {"role": "user", "content": list(blocks)}


def inline(*messages, table=None, **options):
    """(the messages that would be sent, what was fetched)."""
    fetcher = FakeFetcher({A: PNG, B: PDF, **(table or {})})
    request = asyncio.run(Sources(fetcher, **options).inline(parsed(*messages), "key_1"))
    assert not has_urls(request.view)
    return json.loads(bytes(request.fields["messages"])), fetcher.asked


def refusal(*messages, **options):
    with pytest.raises(InvalidRequestError) as refused:
        inline(*messages, **options)
    return refused.value.message


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": '"url"'},
        user(TEXT),
        user({"type": "image", "source": base64()}),
        user({"type": "image", "source": {"type": "file", "file_id": "f"}}),
        user({"type": "search_result", "source": A, "title": "t", "content": [TEXT]}),
        user({"type": "text", "text": "x", "source": {"type": "url", "url": A}}),
        user(result(TEXT), holder(TEXT)),
        user({"type": "tool_result", "tool_use_id": "t", "content": "url"}),
    ],
)
def test_a_request_without_urls_is_left_as_it_is(message):
    request = parsed(message)
    assert not has_urls(request.view)
    assert asyncio.run(Sources(FakeFetcher({})).inline(request, "key_1")) is request


@pytest.mark.parametrize("wrap", [lambda block: block, result, holder, lambda b: result(holder(b))])
def test_images_are_fetched_wherever_they_may_be(wrap):
    cache = {"cache_control": {"type": "ephemeral"}}
    sent, asked = inline(user(TEXT, wrap(image(**cache))))
    assert sent == [user(TEXT, wrap({"type": "image", "source": base64(), **cache}))]
    ((url, accept, limit),) = asked
    assert (url, limit) == (A, 3932160)
    assert accept == {"image/png", "image/jpeg", "image/gif", "image/webp"}


def test_documents_are_fetched():
    more = {"title": "T", "citations": {"enabled": True}}
    sent, asked = inline(user(document(B, **more)))
    assert sent == [user({"type": "document", "source": base64(PDF), **more})]
    assert asked[0][1:] == ({"application/pdf", "text/*"}, 15728640)


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        (b"caf\xc3\xa9", None, "café"),
        (b"\xef\xbb\xbfcaf\xc3\xa9", "utf-8", "café"),
        (b"caf\xe9", "iso-8859-1", "café"),
        (b"caf\xe9", "windows-1252", "café"),
        (b"caf\xe9", None, "caf\ufffd"),
        (b"a\x00", "utf-16le", "a"),
        (b"ab", "iso-8859-99", "ab"),
        (b"ab-", "punycode", "ab-"),
        (b"YWI=", "base64", "YWI="),
        (b"\\u0041", "unicode_escape", "\\u0041"),
    ],
)
def test_texts_become_text_sources(body, charset, text):
    table = {A: Fetched(body, "text/html", A, charset)}
    sent, _ = inline(user(document()), table=table)
    source = {"type": "text", "media_type": "text/plain", "data": text}
    assert sent == [user({"type": "document", "source": source})]


def test_each_url_is_fetched_once():
    sent, asked = inline(user(image(), image(B), result(image())), user(image()), table={B: PNG})
    assert sorted(url for url, _, _ in asked) == [A, B]
    assert json.dumps(sent).count(base64()["data"]) == 4


def test_one_url_as_image_and_as_document_is_asked_for_in_both_ways():
    _, asked = inline(user(image(), document()))
    assert len(asked) == 2


def test_what_is_not_touched_stays_the_clients_own_bytes():
    untouched = b'{"role": "user",  "content": "1.10"}'
    touched = json.dumps(user(image(), {"type": "tool_use", "id": "t", "input": 0})).encode()
    body = b'{"model":"m","max_tokens":1,"x": 1.0,"messages":[%b,%b]}' % (
        untouched,
        touched.replace(b'"input": 0', b'"input": {"n": 1.10, "big": 12345678901234567890123}'),
    )
    request = parse_request(body, "2023-06-01")
    before = bytes(request.fields["messages"])
    sent = asyncio.run(Sources(FakeFetcher({A: PNG})).inline(request, "key_1"))
    messages = bytes(sent.fields["messages"])
    assert untouched in messages
    assert b'"n":1.10' in messages
    assert b'"big":12345678901234567890123' in messages
    assert bytes(sent.fields["x"]) == b"1.0"
    assert bytes(request.fields["messages"]) == before
    assert has_urls(request.view)


@pytest.mark.parametrize(
    ("message", "path"),
    [
        (user(TEXT, image()), "messages.0.content.1"),
        (user(result(TEXT, image())), "messages.0.content.0.content.1"),
        (user(holder(image())), "messages.0.content.0.source.content.0"),
        (
            user(result(TEXT, holder(TEXT, image()))),
            "messages.0.content.0.content.1.source.content.1",
        ),
    ],
)
def test_errors_tell_the_path(message, path):
    expected = f"{path}.source.url: could not be fetched: it is red"
    assert refusal(message, table={A: FetchError("it is red")}) == expected


@pytest.mark.parametrize(
    ("block", "outcome", "expected"),
    [
        (
            image(),
            TooLargeError("it is over 3932160 bytes"),
            (
                "image exceeds 5 MB maximum: it is over 3932160 bytes, and Bedrock takes no more "
                "than 5242880 bytes of base64"
            ),
        ),
        (
            document(),
            TooLargeError("it is over 15728640 bytes"),
            (
                "could not be fetched: it is over 15728640 bytes; what is fetched for a request "
                "may have 20971520 bytes in all, as base64"
            ),
        ),
        (image(), Fetched(b"", "image/png", A), "could not be fetched: it is empty"),
        (document(), Fetched(b"a\0", "text/plain", A), "could not be fetched: it is no text"),
    ],
)
def test_content_that_cannot_be_sent(block, outcome, expected):
    message = refusal(user(block), table={A: outcome})
    assert message == f"messages.0.content.0.source.url: {expected}"


@pytest.mark.parametrize("source", [{}, {"url": None}, {"url": 1}, {"url": ["https://a.example"]}])
def test_a_url_that_is_no_string(source):
    block = {"type": "image", "source": {"type": "url", **source}}
    assert refusal(user(block)) == "messages.0.content.0.source.url: a string is required"


def test_deeper_ones_than_the_api_allows_are_left_for_the_refusal_with_a_path():
    request = parsed(user(result(result(result(result(image()))))))
    assert not has_urls(request.view)
    assert asyncio.run(Sources(FakeFetcher({})).inline(request, "key_1")) is request


def test_the_largest_image_passes():
    table = {A: Fetched(b"x" * (MAX_IMAGE // 4 * 3), "image/png", A)}
    sent, _ = inline(user(image()), table=table)
    assert len(sent[0]["content"][0]["source"]["data"]) == MAX_IMAGE


def test_content_counts_as_often_as_it_is_sent():
    body = b"x" * (MAX_TOTAL // 4 // 4 * 3)
    table = {A: Fetched(body, "application/pdf", A)}
    sent, asked = inline(user(*[document()] * 4), table=table)
    assert b64decode(sent[0]["content"][3]["source"]["data"]) == body
    assert asked[0][2] == len(body)


def test_many_together_are_bounded():
    urls = [f"https://a.example/{index}" for index in range(6)]
    table = {url: Fetched(b"x" * 3_000_000, "image/png", url) for url in urls}
    message = refusal(user(*map(image, urls)), table=table)
    assert "messages: the content of the URLs in the request has over 20971520 bytes" in message


def test_text_counts_as_it_is_escaped():
    table = {A: Fetched(b"\x01" * (MAX_TOTAL // 6 + 1), "text/plain", A)}
    assert "over 20971520 bytes in all" in refusal(user(document()), table=table)


def test_too_many_urls():
    blocks = [image(f"https://a.example/{index}") for index in range(101)]
    assert refusal(user(*blocks)) == "messages: at most 100 URLs are fetched"


def test_the_first_failure_stops_the_rest_and_few_run_at_once():
    running, cancelled = 0, 0

    class Fetcher:
        async def fetch(self, url, *, accept, max_bytes, key):
            nonlocal running, cancelled
            running += 1
            if running == sources._AT_ONCE:
                raise FetchError("it is red")
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1
                raise

    blocks = [image(f"https://a.example/{index}") for index in range(20)]
    with pytest.raises(InvalidRequestError, match=r"content\.7\.source\.url: .* it is red"):
        asyncio.run(Sources(Fetcher()).inline(parsed(user(*blocks)), "key_1"))
    assert running - cancelled == 1
    assert running < 20


def test_all_together_have_a_time_limit():
    class Fetcher:
        async def fetch(self, url, *, accept, max_bytes, key):
            await asyncio.Event().wait()

    with pytest.raises(InvalidRequestError, match=r"did not arrive within 0\.01 seconds"):
        asyncio.run(Sources(Fetcher(), timeout_seconds=0.01).inline(parsed(user(image())), "key_1"))


def test_a_defect_of_the_fetcher_is_not_hidden():
    with pytest.raises(ExceptionGroup) as raised:
        inline(user(image()), table={A: ZeroDivisionError()})
    assert isinstance(raised.value.exceptions[0], ZeroDivisionError)


def test_a_refused_request_is_freed_without_the_collector():
    def alive():
        return sum(isinstance(held, sources._Spot) for held in gc.get_objects())

    class Fetcher:
        async def fetch(self, url, *, accept, max_bytes, key):
            if url == A:
                await asyncio.sleep(0)
                raise FetchError("it is red")
            await asyncio.Event().wait()

    async def main():
        inliner = Sources(Fetcher())
        gc.collect()
        gc.disable()
        before = alive()  # other tests' errors are kept with their frames
        try:
            with suppress(InvalidRequestError):
                await inliner.inline(parsed(user(document(B), image(A), image(B))), "key_1")
            await asyncio.sleep(0)
            assert alive() == before
        finally:
            gc.enable()

    asyncio.run(main())


def test_a_key_with_too_many_urls_has_to_wait():
    with pytest.raises(RateLimitError, match=r"^messages\.0\.content\.0\.source\.url: .* too many"):
        inline(user(image()), table={A: BusyError("too many URLs")})


def nested(depth):
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    block = b'{"type":"tool_use","id":"t","input":%b}' % deep
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[%b,%b]}]}'
    return body % (block, json.dumps(image()).encode())


def test_any_nesting_that_is_parsed_is_inlined_or_refused():
    outcomes = set()
    for depth in [10, *range(850, 1050, 3), 20_000]:
        try:
            request = parse_request(nested(depth), "2023-06-01")
            asyncio.run(Sources(FakeFetcher({A: PNG})).inline(request, "key_1"))
        except InvalidRequestError as error:
            outcomes.add(error.message)
        else:
            outcomes.add("inlined")
    assert len(outcomes) > 1
