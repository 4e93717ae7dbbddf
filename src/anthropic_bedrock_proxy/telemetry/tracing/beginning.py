"""The beginning of a trace: whether a request is traced, and by which ids.

    traceparent: 00-4bf9…4736-00f0…02b7-01     its trace goes on, below that span
    traceparent: 00-4bf9…4736-00f0…02b7-00     the caller does not trace it: nor do we
    none, or a malformed one                   a trace of its own, if the ratio takes it

Ids are known from the beginning, as requests to Bedrock carry them; spans are made at the end. An
id is taken by what its last 8 bytes are as a number, so every proxy decides alike for a trace.
Source: OpenTelemetry specification, "Trace SDK", ParentBased and TraceIdRatioBased.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec

from ...gateway.exchange import Exchange
from ...timeline import TraceContext
from ..traceparent import parse_traceparent

_TRACED: Final = ("/v1/messages", "/v1/messages/count_tokens")
_LOW_HALF: Final = 16  # hex digits


class TraceableRequest(Protocol):
    """The facts about a request at its beginning."""

    @property
    def method(self) -> str:
        """The method, as in the request line."""
        ...

    @property
    def path(self) -> str:
        """The path, without escapes."""
        ...

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """The headers, by lower-case names."""
        ...


class Sampling(msgspec.Struct, frozen=True):
    """The share of requests that are traced; a caller's own decision counts if `parent_based`."""

    ratio: float = 1.0
    parent_based: bool = True

    def takes(self, trace_id: str) -> bool:
        """Tells whether a trace is one of the share."""
        return int(trace_id[_LOW_HALF:], 16) < self.ratio * (1 << 64)


class TraceBeginning:
    """Decides for each request that begins; an observer of its beginning."""

    def __init__(self, sampling: Sampling) -> None:
        self._sampling = sampling

    def __call__(self, request: TraceableRequest, exchange: Exchange) -> None:
        """Notes the trace of a request in its timeline, if it is traced."""
        if request.path not in _TRACED or request.method != "POST":
            return
        sampling = self._sampling
        header = request.headers.get(b"traceparent")
        parent = None if header is None else parse_traceparent(header)
        trace_id = os.urandom(16).hex() if parent is None else parent.trace_id
        if parent is not None and sampling.parent_based:
            taken = parent.sampled
        else:
            taken = sampling.takes(trace_id)
        if taken:
            exchange.timeline.trace = TraceContext(
                trace_id,
                os.urandom(8).hex(),
                None if parent is None else parent.span_id,
            )
