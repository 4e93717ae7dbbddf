"""W3C Trace Context: the header `traceparent`, read without the libraries of tracing.

    00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
    version, trace id, id of the caller's span, flags (bit 0: sampled)

Source: W3C Recommendation "Trace Context", 3.2.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

# A later version may have more behind a further dash; ff is none.
_FORM: Final = re.compile(
    rb"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)


class TraceParent(NamedTuple):
    """The caller's span."""

    trace_id: str
    span_id: str
    sampled: bool


def parse_traceparent(header: bytes) -> TraceParent | None:
    """Reads the header; None if it is malformed, which starts a new trace."""
    found = _FORM.fullmatch(header.strip())
    if found is None or (found[1] == b"00" and found[5]):
        return None
    return TraceParent(found[2].decode(), found[3].decode(), bool(int(found[4], 16) & 1))


def trace_id_of(header: bytes) -> str:
    """Returns the trace that a caller's header names; empty if it is malformed."""
    parent = parse_traceparent(header)
    return parent.trace_id if parent is not None else ""
