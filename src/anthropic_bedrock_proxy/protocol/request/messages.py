"""The request body of the Messages API, read as little as possible.

A body is decoded twice: once into its top-level fields as raw JSON (so that what we do not read is
forwarded byte for byte), once into the view below, which checks the types of exactly what we read
and is dropped afterwards. No message tree is ever built on the straight path.
Errors have Anthropic's shape: `messages.3.content.1.type: ...`.
Source: Anthropic API, "Create a Message"; versioning rules of 2023-06-01 and 2026-10-21.
"""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Raw

from ...errors import InvalidRequestError
from .plain import is_plain
from .views import BlockView, MessageView, RequestView, ToolView

VERSIONS: Final = ("2023-06-01", "2026-10-21")
_VERSION: Final = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])")
ROLES: Final = frozenset(("user", "assistant", "system"))
MAX_MESSAGES: Final = 100_000
_MAX_GEOGRAPHY: Final = 64  # characters: it is remembered with a route
_SAMPLING_FIELDS: Final = ("temperature", "top_p", "top_k")
_UTF8_PIECE: Final = 1 << 18  # bytes checked at a time: a whole body as text could fill memory


class MessagesRequest(msgspec.Struct, frozen=True, eq=False):
    """A parsed request: `view` is what we read, `fields` what we forward.

    `plain` is the result of `is_plain`; always False for a request that was rewritten.
    """

    fields: dict[str, Raw]
    view: RequestView
    version: str
    plain: bool = False

    def inference_geo(self) -> str:
        """Returns the geography that the client wants; empty: any. Raises `InvalidRequestError`."""
        try:
            return _decode_geography(self.fields.get("inference_geo", b"null")) or ""
        except msgspec.ValidationError as error:
            raise InvalidRequestError(f"inference_geo: {error}") from None


_decode_geography = msgspec.json.Decoder(
    Annotated[str, msgspec.Meta(max_length=_MAX_GEOGRAPHY)] | None
).decode
decode_message = msgspec.json.Decoder(MessageView).decode
decode_tools = msgspec.json.Decoder(list[ToolView]).decode
_decode_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_view = msgspec.json.Decoder(RequestView).decode


def parse_request(
    body: bytes | bytearray,
    version: str,
    *,
    counting: bool = False,
    drops_sampling: bool = False,
) -> MessagesRequest:
    """Parses and checks a body. `counting` is for count_tokens, which has no max_tokens.

    `drops_sampling`: sampling fields that the version lacks may stand there all the same.
    Raises `InvalidRequestError` with the path of what is wrong.
    """
    try:
        if not body.isascii():
            _check_utf8(body)  # msgspec looks only into the strings that it decodes
        fields = _decode_fields(body)
        view = _decode_view(body)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(explain(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidRequestError(f"The request body is not valid JSON: {error}") from None
    except RecursionError:
        raise InvalidRequestError("The request body is nested too deeply") from None
    if not counting:
        if view.max_tokens is UNSET:
            raise InvalidRequestError("max_tokens: Field required")
        if view.max_tokens < 0:
            raise InvalidRequestError("max_tokens: must be greater than or equal to 0")
    if not view.messages:
        raise InvalidRequestError("messages: at least one message is required")
    if len(view.messages) > MAX_MESSAGES:
        raise InvalidRequestError(f"messages: at most {MAX_MESSAGES} messages are allowed")
    for index, message in enumerate(view.messages):
        if message.role not in ROLES:
            raise InvalidRequestError(
                f'messages.{index}.role: Unexpected role "{message.role[:40]}": allowed are user, '
                "assistant and system"
            )
    if version != VERSIONS[0]:
        _check_2026_10_21(fields, view, samples=drops_sampling)
    return MessagesRequest(fields, view, version, plain=is_plain(fields, view))


def check_version(version: str | None) -> str:
    """Returns the API version to apply; clients that name none get the oldest.

    An unknown one is read as the newest before it: clients are updated before proxies. Raises
    `InvalidRequestError` for what is no version, or one before them all.
    """
    if version is None:
        return VERSIONS[0]
    if version in VERSIONS:
        return version
    if _VERSION.fullmatch(version):
        for known in reversed(VERSIONS):
            if known < version:
                return known
    raise InvalidRequestError(
        f'anthropic-version: "{version[:40]}" is not a known version; use one of '
        + ", ".join(VERSIONS)
    )


def _check_utf8(body: bytes | bytearray) -> None:
    """Raises UnicodeDecodeError unless the body is UTF-8."""
    view = memoryview(body)
    start = 0
    while start < len(view):
        piece = view[start : start + _UTF8_PIECE]
        last = start + len(piece) == len(view)
        start += codecs.utf_8_decode(piece, "strict", last)[1]


def _check_2026_10_21(fields: dict[str, Raw], view: RequestView, *, samples: bool) -> None:
    """Raises `InvalidRequestError` for fields that version 2026-10-21 no longer has.

    `samples`: those for sampling are let through.
    """
    for name in () if samples else _SAMPLING_FIELDS:
        if name in fields:
            raise InvalidRequestError(
                f"{name}: not supported with anthropic-version 2026-10-21; remove it"
            )
    for index, message in enumerate(view.messages):
        if isinstance(message.content, str):
            continue
        for position, block in enumerate(message.content):
            path = f"messages.{index}.content.{position}"
            if block.type == "document" and message.role == "assistant":
                raise InvalidRequestError(f"{path}: document blocks belong in user messages")
            if message.role == "user":
                _refuse_citations(block, path)


def _refuse_citations(block: BlockView, path: str) -> None:
    if block.type == "text" and block.citations:
        raise InvalidRequestError(
            f"{path}.citations: not allowed in user messages with anthropic-version 2026-10-21"
        )
    if block.type == "search_result" and isinstance(block.content, list):
        for position, inner in enumerate(block.content):
            _refuse_citations(inner, f"{path}.content.{position}")


_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>\$.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")


def explain(message: str) -> str:
    """Turns msgspec's words into Anthropic's: the path first, dots all the way."""
    match = _AT.match(message)
    what, path = (match["what"], match["path"] or "") if match else (message, "")
    path = re.sub(r"\[(\d+)\]", r".\1", path.removeprefix("$")).replace("[...]", ".*").strip(".")
    if missing := _MISSING.match(what):
        path, what = f"{path}.{missing['field']}".strip("."), "Field required"
    return f"{path}: {what}" if path else f"The request body is not an object: {what}"
