"""Everything about one request: the only mutable object that travels with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ..errors import LimitState
from ..protocol.answer.metering import Meter
from ..timeline import Timeline

if TYPE_CHECKING:
    from ..models.registry import Target
    from ..store.base.callers import Caller
    from ..turn.driver import BegunTurn
    from .admission.budget_slice import BudgetSlice


class Exchange(msgspec.Struct, eq=False):
    """One request of one client, from its headers to its last byte."""

    request_id: str
    started: float  # seconds of the monotonic clock, as all moments here: its head was read
    at_ms: int  # epoch milliseconds
    endpoint: str = ""  # the template of its path; empty: none that is known
    version: str = ""
    betas: list[str] = []
    model: str = ""
    listed: bool = True  # see `Route.listed`
    stream: bool = False
    key_id: str = ""
    caller: Caller | None = None  # None: the master key, or no key at all
    limits: Sequence[LimitState] = ()  # where the caller stands, once it was admitted
    slices: Sequence[BudgetSlice] = ()  # of the budgets that it is paid from
    received: float = 0.0  # its body was read
    admitted: float = 0.0
    told: float = 0.0  # the first event of a stream was handed to the connection
    ended: float = 0.0  # so was the last byte of the answer, or the client had left
    target: Target | None = None  # the one that serves it, or was tried last
    turn: BegunTurn | None = None  # if the proxy runs tools for the model
    switches: tuple[tuple[str, str, str], ...] = ()  # from a target to another, and the code of why
    served_by: str | None = None  # the label of `target`, where there was a choice
    service_tier: str | None = None  # the one that Bedrock used, if it said so
    warnings: Sequence[str] = ()  # what was changed for Bedrock in a way that changes the answer
    retires: str = ""  # see `Route.retires`
    dropped: Sequence[str] = ()  # what was left out for it, and nothing lost by that
    timeline: Timeline = msgspec.field(default_factory=Timeline)
    meter: Meter = msgspec.field(default_factory=Meter)
    cost_nano: int | None = None  # once it is settled; None: nobody knows
    tells_cost: bool = False  # to the client, of a whole answer
    status: int = 0
    error_type: str | None = None
    error_cause: str = ""  # see `ProxyError.cause`
    error_message: str = ""  # of a refusal of our own, which quotes nothing of the body
    ttft_ms: int | None = None
    upstream_request_id: str | None = None
    client_gone: bool = False
