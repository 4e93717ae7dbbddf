"""A whole Converse answer -> the Anthropic message that a client expects.

Source: Bedrock service model (ConverseResponse); Anthropic API, the message object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from ....aws_errors import NOT_AN_ANSWER, UpstreamRefusal
from .blocks import convert_blocks
from .end import ending, usage_of
from .shapes import WholeAnswer

NO_NAMES: Final[Mapping[str, str]] = MappingProxyType({})

_decode = msgspec.json.Decoder(WholeAnswer, float_hook=float).decode
_encode = msgspec.json.Encoder().encode


def finish_converse(
    body: bytes,
    requested_model: str,
    *,
    message_id: str,
    tool_names: Mapping[str, str] = NO_NAMES,
    stop_sequences: Sequence[str] = (),
) -> bytes:
    """The answer as the client expects it, as JSON.

    `tool_names` maps the names that Bedrock saw to the client's, `stop_sequences` are the
    request's. Raises `UpstreamRefusal` if the body is no Converse answer, or if the model's output
    was malformed and nothing of it is left.
    """
    try:
        answer = _decode(body)
        content = convert_blocks(answer.output.message.content, tool_names)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UpstreamRefusal(NOT_AN_ANSWER, f"not a Converse answer: {error}") from error
    calls_tool = any(block["type"] == "tool_use" for block in content)
    return _encode(
        {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": requested_model,
            "content": content,
            **ending(answer, stop_sequences, has_content=bool(content), calls_tool=calls_tool),
            "usage": usage_of({"usage": answer.usage, "serviceTier": answer.service_tier}),
        }
    )
