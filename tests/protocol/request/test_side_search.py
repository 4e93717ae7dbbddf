"""The request by which Claude Code searches."""

from __future__ import annotations

import msgspec
import pytest

from anthropic_bedrock_proxy.protocol.request.side_search import asks_to_search

ASKS = "Perform a web search for the query: python"
TEXT = {"type": "text", "text": ASKS}


def asks(*messages):
    return asks_to_search(msgspec.Raw(msgspec.json.encode(list(messages))))


@pytest.mark.parametrize("content", [ASKS, [TEXT], [{"type": "text", "text": "a"}, TEXT]])
def test_one_message_asks(content):
    assert asks({"role": "user", "content": content})


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "assistant", "content": ASKS}],
        [{"role": "user", "content": f"Please. {ASKS}"}],
        [{"role": "user", "content": [{"type": "image", "source": {}}]}],
        [{"role": "user", "content": ASKS}] * 2,
    ],
)
def test_others_do_not(messages):
    assert not asks(*messages)
