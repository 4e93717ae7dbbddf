"""A server-side tool whose calls end when, and as, a test says."""

from __future__ import annotations

import asyncio
from types import MappingProxyType

from anthropic_bedrock_proxy.protocol.raw import decode
from anthropic_bedrock_proxy.tools.base import PreparedTool, ServerTool, ToolOffer
from anthropic_bedrock_proxy.tools.calls import ClientCall, Container, Finished, Suspended
from anthropic_bedrock_proxy.tools.kinds import ToolKind

PROBE = {"type": "probe_20260101", "name": "probe"}
CONTAINER = Container("container_1", "2026-11-28T12:00:00Z")
TIMED_OUT = {"type": "probe_error", "error_code": "execution_time_exceeded"}
UNAVAILABLE = {"type": "probe_error", "error_code": "unavailable"}
CALLER = "code_execution_20260120"


class Probe(ServerTool):
    """Its calls are told apart by `input["n"]`."""

    result_types = frozenset(("probe_tool_result",))
    fields = ("container",)
    user_blocks = MappingProxyType({})
    usage_field = None
    timeout_seconds = None

    def __init__(self, timeout_seconds=None):
        self.timeout_seconds = timeout_seconds
        self.contexts = []
        self.started = []
        self.cancelled = []
        self._ends = {}

    @property
    def kind(self):
        return ToolKind("probe_", frozenset(("probe",)), lambda: self)

    def claims(self, kind):
        return kind == PROBE["type"]

    def is_call(self, name):
        return name == "probe"

    def result_type(self, name):
        return "probe_tool_result"

    def timed_out(self, name):
        return TIMED_OUT

    def unavailable(self, name):
        return UNAVAILABLE

    def offer(self, tool, path, tools):
        return ToolOffer([{"name": "probe", "input_schema": {"type": "object"}}])

    def prepare(self, context, pending):
        self.contexts.append(context)
        return PreparedTool(self._run)

    def to_tool_result(self, content, context):
        return {"content": content["words"]} if "words" in content else {"is_error": True}

    def end(self, number, outcome):
        """Ends a call, begun or not: with words, an outcome or an exception."""
        if isinstance(outcome, str):
            outcome = finished(outcome)
        end = self._end_of(number)
        if isinstance(outcome, BaseException):
            end.set_exception(outcome)
        else:
            end.set_result(outcome)

    async def _run(self, call):
        self.started.append(call)
        number = call.input["n"]
        try:
            return await self._end_of(number)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            del self._ends[number]

    def _end_of(self, number):
        if number not in self._ends:
            self._ends[number] = asyncio.get_running_loop().create_future()
        return self._ends[number]


def finished(words):
    return Finished({"type": "probe_result", "words": words})


def suspended(*calls, container=CONTAINER):
    """The outcome of a call that waits for these: (id, name, input)."""
    return Suspended(container, CALLER, tuple(ClientCall(*call) for call in calls))


def container_id(context):
    """What a request says about its container, as a tool reads it."""
    return decode(context.fields["container"])
