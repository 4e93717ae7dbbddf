"""The record of one request that has ended: the facts from which it can be explained.

It holds what the request was told, moved and cost, and nothing of what it asked or was answered.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...errors import LimitState
from ...timeline import ToolRun, UpstreamRequest
from ..access_log import RequestLine

_ID: Final = re.compile(r"req_([0-9a-f]{11})[0-9a-f]{13,}")  # see `Application`


class BudgetState(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A budget as it stood when the request had ended, as far as this worker knew."""

    owner: str  # "key:ID", "user:ID" or "team:ID"
    period: str  # monthly | daily | total
    budget_nano: int
    left_nano: int | None = None  # None: the ledger was not asked yet
    resets_at: int | None = None  # epoch seconds; None: never


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One request. Moments are those of its `Exchange` and `Timeline`: monotonic seconds."""

    line: Any  # RequestLine; when it is written, its JSON
    started: float
    ended: float
    received: float = 0.0
    admitted: float = 0.0
    told: float = 0.0
    limits: Sequence[LimitState] = ()
    budgets: Sequence[BudgetState] = ()
    dropped: Sequence[str] = ()
    warnings: Sequence[str] = ()
    switches: Sequence[tuple[str, str, str]] = ()
    upstream: Sequence[UpstreamRequest] = ()
    tools: Sequence[ToolRun] = ()
    served_by: str | None = None
    service_tier: str | None = None
    error_message: str = ""


class _ReadRecord(RequestRecord, frozen=True, kw_only=True, gc=False):
    line: RequestLine


def began_ms(request_id: str) -> int | None:
    """Returns when a request began, in epoch milliseconds, by its id; None if that is no id."""
    known = _ID.fullmatch(request_id)
    return None if known is None else int(known[1], 16)


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(_ReadRecord).decode
