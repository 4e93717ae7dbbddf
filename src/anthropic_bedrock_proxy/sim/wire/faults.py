"""The ways a script can spoil the delivery of an answer. `delivery.py` performs them.

Places are counted in stream events; a plain answer is one event.
"""

from __future__ import annotations

import msgspec


class _Kind(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """The base of all kinds: a script names them in `kind` and may not misspell a field."""


class ExceptionFault(_Kind, frozen=True, tag="exception", kw_only=True):
    """An exception frame (`throttlingException`…) that ends the stream after `after_events`."""

    type: str
    message: str = ""
    after_events: int = 0


class CutFault(_Kind, frozen=True, tag="cut", kw_only=True):
    """An end of the connection after `after_events` events and `at_byte` bytes of the next one.

    `reset` sends a TCP reset instead of an orderly close.
    """

    after_events: int = 0
    at_byte: int = 0
    reset: bool = False


class BadCRCFault(_Kind, frozen=True, tag="bad_crc", kw_only=True):
    """A wrong checksum in the frame of event number `at_event` (from 0)."""

    at_event: int = 0


class SilenceFault(_Kind, frozen=True, tag="silence", kw_only=True):
    """A silence of `seconds` after `after_events` events."""

    seconds: float
    after_events: int = 0


class GarbageFault(_Kind, frozen=True, tag="garbage", kw_only=True):
    """Bytes that are no frame, `length` of them, after `after_events`; then the stream goes on."""

    after_events: int = 0
    length: int = 64


Fault = ExceptionFault | CutFault | BadCRCFault | SilenceFault | GarbageFault
