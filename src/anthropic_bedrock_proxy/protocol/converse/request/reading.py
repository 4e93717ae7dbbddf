"""Decoding of a request's fields; a value that does not fit is refused with its path."""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Raw

from ....errors import InvalidRequestError
from ...request.messages import explain

T = TypeVar("T")
# Any JSON, with fractions as the client wrote them (protocol/raw.py).
tree_decoder: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(float_hook=Raw)
_MAX_WORDS: Final = 400
_MAX_NAME: Final = 80
_UNKNOWN_KEY: Final = re.compile(r"(?s)(.*?): Object contains unknown field `(.*)`")
_UNKNOWN_TAG: Final = re.compile(r"(?s)(.*?)\.(?:type|role): Invalid value '(.*)'")


def read(raw: Raw | bytes, decoder: msgspec.json.Decoder[T], path: str) -> T:
    """Decodes the field that stands at `path`. Raises `InvalidRequestError`."""
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(_words(str(error), path)) from None
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"{path}: cannot be read: {str(error)[:_MAX_WORDS]}") from None


def shown(name: str) -> str:
    """Shortens a client's own word to one line, for use inside an error message."""
    name = name[:_MAX_NAME]
    return name if name.isprintable() else ascii(name)


def _words(message: str, path: str) -> str:
    what, at, place = message.rpartition(" - at `$")
    if not at:
        what, place = message, "`"
    explained = explain(f"{what[:_MAX_WORDS]} - at `$.{path}{place}")
    if match := _UNKNOWN_KEY.fullmatch(explained):
        explained = f"{match[1]}.{shown(match[2])}: Extra inputs are not permitted; remove it"
    elif match := _UNKNOWN_TAG.fullmatch(explained):
        explained = (
            f"{match[1]}: {shown(match[2])} is not possible here for a model on Bedrock's "
            "Converse; remove it"
        )
    return explained[:_MAX_WORDS]
