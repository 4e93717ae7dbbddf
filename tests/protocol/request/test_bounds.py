"""Holds are never too small: more tokens than a request can have."""

from __future__ import annotations

import json

import pytest

from anthropic_bedrock_proxy.protocol.request.bounds import bound_tokens
from anthropic_bedrock_proxy.protocol.request.messages import parse_request

CONTEXT = 200_000
DATA = "A" * 100_000
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def bound(content, **fields):
    messages = [{"role": "user", "content": content}]
    body = {"model": "m", "max_tokens": 100, "messages": messages} | fields
    request = parse_request(json.dumps(body).encode(), "2023-06-01")
    return bound_tokens(request, context_tokens=CONTEXT, output_tokens=100)


def source(kind, **fields):
    return {"type": kind, "source": fields}


def test_a_byte_is_a_token_at_most():
    digits = "1,2,3," * 1000
    assert 6000 <= bound(digits)[0] <= 6000 + 3000
    assert 6000 <= bound("x", system=digits)[0] <= 6000 + 3000


def test_an_image_costs_the_largest_one_whatever_its_bytes():
    image = source("image", type="base64", media_type="image/png", data=DATA)
    assert 5000 <= bound([image])[0] <= 8000
    tiny = source("image", type="base64", media_type="image/png", data="AAAA")
    assert 10_000 <= bound([tiny, tiny])[0] <= 13_000
    assert bound([source("image", type="url", url="https://x.example/a.png")])[0] >= 5000
    result = {"type": "tool_result", "tool_use_id": "t", "content": [image]}
    assert 5000 <= bound([result])[0] <= 8000


@pytest.mark.parametrize(
    "block",
    [
        source("document", type="base64", media_type="application/pdf", data="AAAA"),
        source("document", type="url", url="https://x.example/a.pdf"),
        source("document", type="file", file_id="f"),
        {
            "type": "tool_result",
            "tool_use_id": "t",
            "content": [source("document", type="url", url="https://x.example/a.pdf")],
        },
    ],
)
def test_what_bytes_tell_nothing_of_may_fill_the_context(block):
    assert bound([block]) == (CONTEXT, 100)


def test_text_is_text_whatever_it_is_called():
    text = source("document", type="text", media_type="text/plain", data=DATA)
    assert bound([text])[0] > 100_000
    inner = {"type": "text", "text": DATA}
    assert bound([source("document", type="content", content=[inner])])[0] > 100_000
    mock = {"type": "base64", "media_type": "image/png", "data": DATA}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {"source": mock}}
    assert bound([call])[0] > 100_000


def test_the_context_is_the_end_of_it():
    assert bound("x" * 10**6) == (CONTEXT, 100)


def test_tools_of_anthropic_bring_their_own_words():
    tools = [{"type": "bash_20250124", "name": "bash"}, TOOL]
    assert bound("x", tools=tools)[0] >= bound("x", tools=[TOOL])[0] + 1500


def test_compaction_is_another_pass():
    plain, output = bound("x" * 1000)
    edits = {"edits": [{"type": "compact_20260112"}]}
    given, written = bound("x" * 1000, context_management=edits)
    assert given >= 2 * plain + output
    assert written == 2 * output
