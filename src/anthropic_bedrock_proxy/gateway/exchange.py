"""Everything about one request: the only mutable object that travels with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ..errors import LimitState
from ..protocol.answer.metering import Meter

if TYPE_CHECKING:
    from ..models.registry import Target
    from ..store.base.callers import Caller
    from ..turn.driver import BegunTurn


class Exchange(msgspec.Struct, eq=False):
    """One request of one client, from its headers to its last byte."""

    request_id: str
    started: float  # seconds of the loop's clock
    at_ms: int  # epoch milliseconds
    version: str = ""
    betas: list[str] = []
    model: str = ""
    listed: bool = True  # see `Route.listed`
    stream: bool = False
    key_id: str = ""
    caller: Caller | None = None  # None: the master key, or no key at all
    limits: Sequence[LimitState] = ()  # where the caller stands, once it was admitted
    target: Target | None = None  # the one that serves it, or was tried last
    turn: BegunTurn | None = None  # if the proxy runs tools for the model
    served_by: str | None = None  # the label of `target`, where there was a choice
    service_tier: str | None = None  # the one that Bedrock used, if it said so
    warnings: list[str] = []
    meter: Meter = msgspec.field(default_factory=Meter)
    cost_nano: int | None = None  # of a whole answer, if clients are told
    status: int = 0
    error_type: str | None = None
    ttft_ms: int | None = None
    upstream_request_id: str | None = None
    client_gone: bool = False
