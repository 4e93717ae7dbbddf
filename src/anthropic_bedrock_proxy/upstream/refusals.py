"""Refusals of a model call: what AWS, Anthropic's envelope or the connection said.

Whatever went wrong has a code, AWS's or one of ours, so that one table decides about it
(aws_errors.py, `rule_for`). For example:

    429, x-amzn-errortype: ThrottlingException:http://…    ThrottlingException
    400, {"error": {"type": "invalid_request_error", …}}   invalid_request_error
    502, <html>…                                           HTTP502
    a reset in the middle of a stream                      Unreachable, sent
    no more of a stream in time                            TooLate, sent
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

import msgspec

from ..aws.http import ConnectError, TransportError, TransportTimeoutError
from ..aws_errors import NO_WAY, NOT_AN_ANSWER, TOO_LATE, UNREACHABLE, UpstreamRefusal
from ..protocol.aws.exceptions import code_for
from ..redaction import redact, shown

_log = logging.getLogger("anthropic_bedrock_proxy.upstream")
_decode_any: Any = msgspec.json.Decoder().decode
_OK: Final = 200
_ENVELOPE: Final = b'{"type":"error"'
# Names that whole answers and counts have: a message, Converse's, counted tokens.
_ANSWERS: Final = (b'"content"', b'"output"', b'nputTokens"', b'nput_tokens"')
_SECONDS: Final = re.compile(rb"[0-9]{1,5}")  # of retry-after: a day, or nobody means it


class BilledRefusal(UpstreamRefusal):
    """A failure after the model had answered: another attempt would be billed a second time."""


class UntimelyRefusal(UpstreamRefusal):
    """A signature of another time than AWS's, which the next one has."""


def refusal_from_http(status: int, headers: dict[bytes, bytes], body: bytes) -> UpstreamRefusal:
    """Reads an answer that is not 200: AWS's JSON errors and Anthropic's envelopes."""
    code = headers.get(b"x-amzn-errortype", b"").decode("latin-1").split(":")[0].split("#")[-1]
    message = ""
    try:
        data = _decode_any(body)
        envelope = data.get("error")
        if isinstance(envelope, dict):
            code = str(envelope.get("type") or code)
            message = str(envelope.get("message") or "")
        else:
            code = code or str(data.get("__type") or "").split("#")[-1]
            message = str(data.get("message") or data.get("Message") or "")
        code = code_for(code, data.get("originalStatusCode"))
    except (msgspec.MsgspecError, AttributeError, ValueError, RecursionError):
        pass  # a front door's HTML; the status says enough
    retry_after = headers.get(b"retry-after", b"")
    return UpstreamRefusal(
        code or f"HTTP{status}",
        message,
        status=status,
        retry_after=float(retry_after) if _SECONDS.fullmatch(retry_after) else None,
    )


def refusal_in_answer(body: bytes) -> UpstreamRefusal | None:
    """Returns the refusal that stands in the body of a 200; None: it may be an answer.

    AWS's front door and some models answer so: `{"Output":{"__type":"…Exception"}}`, Anthropic's
    envelope, `{"message":…}`. An answer is recognised by what every one has, and read no further.
    """
    if not body.startswith(_ENVELOPE) and any(mark in body for mark in _ANSWERS):
        return None
    try:
        data = _decode_any(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        _log.warning("200 without an answer: %d bytes that are no JSON", len(body))
        return UpstreamRefusal(NOT_AN_ANSWER, "The model's answer cannot be read.")
    names = data if isinstance(data, dict) else ()
    if isinstance(data, dict) and isinstance(output := data.get("Output"), dict):
        data = output
    refusal = refusal_from_http(_OK, {}, msgspec.json.encode(data))
    # A refusal's words are AWS's; those of a foreign answer may be a conversation's.
    words = refusal.message or f"an object with {', '.join(names)}"
    _log.warning("200 without an answer: %s: %s", *shown((refusal.code, redact(words))))
    if refusal.code == f"HTTP{_OK}":
        return UpstreamRefusal(NOT_AN_ANSWER, "The model's answer is not a message.")
    return refusal


def copy_of(failure: UpstreamRefusal) -> UpstreamRefusal:
    """Copies a failure that its decoder keeps, to be raised in its place."""
    failure.__traceback__ = None  # it may have been raised, and caught, inside the decoder
    copy = UpstreamRefusal(
        failure.code, failure.message, status=failure.status, retry_after=failure.retry_after
    )
    copy.sent = failure.sent
    return copy


def refusal_from_transport(
    error: TransportError, *, sent: bool, kind: type[UpstreamRefusal] = UpstreamRefusal
) -> UpstreamRefusal:
    """Names a failure below HTTP: `TooLate`, `NoWay` or `Unreachable`; logs the latter two."""
    if isinstance(error, TransportTimeoutError):
        refusal = kind(TOO_LATE, "The model did not answer in time.")
    elif isinstance(error, ConnectError) and error.lasting:
        _log.warning("%s", str(error))
        refusal = kind(
            NO_WAY,
            f"The proxy cannot reach Amazon Bedrock: {error.lasting} failed. Its log says how; ask "
            "the operator.",
        )
    else:
        _log.warning("%s", str(error))
        refusal = kind(UNREACHABLE, "The connection to Amazon Bedrock failed.")
    refusal.sent = sent
    return refusal
