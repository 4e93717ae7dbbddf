"""Bodies of a 200 that are no answer, and ways in which a stream breaks; what a client is told.

Sources: answers of AWS's front door (`UnknownOperationException` comes with a 200); Anthropic API,
"Errors".
"""

from __future__ import annotations

from typing import Final

import msgspec
from streams import encode

_OTHER_API: Final = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "choices": [{"message": {"role": "assistant", "content": "Hi"}}],
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


class NoAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One body of a 200, and the error that it is to a client."""

    name: str
    body: bytes
    status: int = 500
    type: str = "api_error"
    retry: bool = True


NO_ANSWERS: Final = (
    NoAnswer(name="nothing", body=b""),
    NoAnswer(
        name="an operation that AWS does not know",
        body=encode(
            {
                "Output": {"__type": "com.amazon.coral.service#UnknownOperationException"},
                "Version": "1.0",
            }
        ),
        retry=False,
    ),
    NoAnswer(name="a foreign object", body=b'{"hello":1}'),
    NoAnswer(name="an answer of another API", body=encode(_OTHER_API)),
    NoAnswer(name="the same with the model first", body=encode({"model": "m"} | _OTHER_API)),
    NoAnswer(name="a list", body=b"[]"),
    NoAnswer(name="a page", body=b"<html>busy</html>"),
    NoAnswer(
        name="an error of Anthropic",
        body=b'{"type":"error","error":{"type":"overloaded_error","message":"Busy."}}',
        status=529,
        type="overloaded_error",
    ),
    NoAnswer(
        name="an exception of AWS",
        body=encode({"Output": {"__type": "ThrottlingException", "message": "Slow down."}}),
        status=429,
        type="rate_limit_error",
    ),
)
KINDS: Final = ("application/json", "application/x-amz-json-1.0", "text/html")
