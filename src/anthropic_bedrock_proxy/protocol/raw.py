"""JSON read and written piece by piece: what nobody edits stays the client's own bytes."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

Json = dict[str, Any]  # an object, decoded

encode = msgspec.json.Encoder().encode
# Fractions stay the text that the client wrote: 1.10 is not 1.1, 1e400 is no double at all.
decode: Any = msgspec.json.Decoder(float_hook=Raw).decode
decode_raws = msgspec.json.Decoder(list[Raw]).decode

# Exceptions of code that walks a client's JSON and meets a field of another form.
MISSHAPEN: Final = (
    msgspec.MsgspecError,
    TypeError,
    KeyError,
    AttributeError,
    ValueError,
    RecursionError,
)
UNEXPECTED_FORM: Final = (
    "The request body cannot be converted: one of its fields has an unexpected form"
)
