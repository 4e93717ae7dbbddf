"""The timeline of one request: what was asked of Bedrock for it, and which tools were run.

Whoever does the work notes it here when it begins and when it ends; whoever tells of a request
(metrics, access log, traces, `explain`) reads the timeline once the request has ended. So nothing
is told while it runs, and what nobody reads costs a few attributes. For example a stream that the
first provider refused, and for which the second ran a tool:

    upstream  provider  operation                    step  began  first  ended  code
              default   invoke-with-response-stream     1   0.01      -   0.09  ThrottlingException
              ireland   invoke-with-response-stream     1   0.10   0.52   1.90  ok
              ireland   invoke-with-response-stream     2   2.31   2.60   4.00  ok
    tools     bash_code_execution                           1.88          2.30  finished

Moments are seconds of the monotonic clock, as in `Exchange.started`; 0.0 stands for "not yet".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

import msgspec

from .aws_errors import UpstreamRefusal

OK: Final = "ok"
CANCELLED: Final = "cancelled"  # the client left, or the server is stopping


class TracedContent(msgspec.Struct):
    """The words of a request and its answer, kept only where the operator wants them in traces."""

    request: bytes | bytearray
    answer: bytes | Sequence[tuple[bytes, bytes]] = b""  # a message, or the events of one


class TraceContext(msgspec.Struct):
    """The trace that a request belongs to (W3C Trace Context), if it is sampled."""

    trace_id: str  # 32 hex digits
    span_id: str  # 16 hex digits: of the span of this request
    parent_id: str | None = None  # of the caller's span
    content: TracedContent | None = None


class UpstreamRequest(msgspec.Struct, gc=False, omit_defaults=True):
    """One HTTP request to Bedrock: the first of a model call, or one of its retries."""

    provider: str
    bedrock_model_id: str
    operation: str
    step: int  # which model call of the turn: 1, 2, …
    began: float
    sent: float = 0.0  # 0.0 also if it never was
    first: float = 0.0  # the first event of a stream, the head of a whole answer
    ended: float = 0.0
    # OK, CANCELLED, why it was refused (`UpstreamRefusal.code`), or the class of a fault of ours.
    code: str = ""
    status: int = 0  # of HTTP, where a refusal had one
    upstream_request_id: str | None = None
    span_id: str = ""  # 16 hex digits, where the request is traced

    @property
    def streamed(self) -> bool:
        """Tells whether a stream was asked for."""
        return "stream" in self.operation

    def end(self, at: float, code: str, status: int = 0) -> None:
        """Notes how it ended. Only the first end counts."""
        if not self.ended:
            self.ended, self.code, self.status = at, code, status

    def fail(self, at: float, error: BaseException) -> None:
        """Notes the error that it ended with, unless it had ended."""
        if isinstance(error, UpstreamRefusal):
            self.end(at, error.code, error.status)
        else:
            # `asyncio.CancelledError` and its like are no `Exception`.
            self.end(at, type(error).__name__ if isinstance(error, Exception) else CANCELLED)


class CellCall(msgspec.Struct, gc=False, omit_defaults=True):
    """One call of an executor for a cell: to run it, or to bring it results."""

    cell: str  # its id
    began: float
    ended: float = 0.0
    failed: bool = False
    span_id: str = ""


class ToolRun(msgspec.Struct, omit_defaults=True):
    """One run of a server-side tool, or of what is left of it after a suspension."""

    name: str
    call_id: str
    began: float
    ended: float = 0.0
    outcome: str = ""  # finished | suspended | failed | timed_out | cancelled
    trace_id: str = ""  # where the request is traced, as all that is told of spans
    span_id: str = ""
    cells: list[CellCall] = []
    code: str = ""  # Anthropic's, of a result that is an error
    reason: str = ""  # why it is one, in words; nothing of what was asked

    def end(self, at: float, outcome: str) -> None:
        """Notes how it ended. Only the first end counts."""
        if not self.ended:
            self.ended, self.outcome = at, outcome


# The run that goes on in this task: what is below tools knows of no request.
current_run: ContextVar[ToolRun | None] = ContextVar("current_run", default=None)


class Timeline(msgspec.Struct):
    """Everything that was done elsewhere for one request, in the order of its beginning."""

    upstream: list[UpstreamRequest] = []
    tools: tuple[ToolRun, ...] = ()
    step: int = 1  # the model call that is made now
    spent: tuple[Mapping[str, Any], ...] = ()  # Anthropic's usage of all calls before step 2, 3, …
    trace: TraceContext | None = None

    def fail(self, at: float, error: BaseException) -> None:
        """Notes that an error ended whatever was still asked of Bedrock."""
        for made in self.upstream:
            made.fail(at, error)
