"""Code execution as a server-side tool; programmatic tool calling is its Python with functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ...errors import InvalidRequestError
from ...protocol.raw import Json, decode
from ...sandbox.base import Sandbox
from ..base import NewLock, PreparedTool, ServerTool, ToolOffer
from ..calls import RequestContext, RequestTools, ToolCall
from .container import RequestContainer
from .definitions import definition
from .functions import Function, read_functions
from .options import CodeExecutionOptions
from .results import RESULT_TYPES, TIMED_OUT, UNAVAILABLE, error, to_tool_result
from .uploads import USER_BLOCKS
from .versions import BASH, CALLS, DIRECT, PREFIX, PYTHON, VERSIONS, Version

_NAME: Final = "code_execution"
_SPARE_SECONDS: Final = 90.0  # for a container to be made, and for a cell before it


class CodeExecution(ServerTool):
    """All versions of code execution."""

    result_types = frozenset(RESULT_TYPES.values())
    fields = ("container",)
    user_blocks = USER_BLOCKS
    usage_field = "code_execution_requests"

    def __init__(self, sandbox: Sandbox, options: CodeExecutionOptions, new_lock: NewLock) -> None:
        """A lock is made for each request."""
        self._sandbox = sandbox
        self._options = options
        self._new_lock = new_lock
        self._seconds = {PYTHON: options.python_seconds, BASH: options.bash_seconds}

    @property
    def timeout_seconds(self) -> float:
        """Returns the time after which an executor that ends nothing is given up."""
        return 2 * max(self._seconds.values()) + _SPARE_SECONDS

    def claims(self, kind: str) -> bool:
        """Tells whether the type is a version of the tool, known or not."""
        return kind.startswith(PREFIX)

    def is_call(self, name: str) -> bool:
        """Tells whether the name is one of what the tool can do."""
        return name in CALLS

    def result_type(self, name: str) -> str:
        """Returns the type of results of Python, bash or the text editor."""
        return RESULT_TYPES[name]

    def timed_out(self, name: str) -> Json:
        """Returns the error for an executor that does not answer in time."""
        return error(name, TIMED_OUT)

    def unavailable(self, name: str) -> Json:
        """Returns the error for a sandbox that cannot be had."""
        return error(name, UNAVAILABLE)

    def offer(self, tool: Json, path: str, tools: RequestTools) -> ToolOffer:
        """Offers Python, bash and the text editor, as the version has them.

        Raises `InvalidRequestError` with the path.
        """
        version = VERSIONS.get(tool["type"])
        if version is None:
            known = ", ".join(VERSIONS)
            raise InvalidRequestError(f"{path}.type: expected one of {known}")
        if tool.get("name") != _NAME:
            raise InvalidRequestError(f"{path}.name: Input should be '{_NAME}'")
        if sum((view.type or "").startswith(PREFIX) for view in tools.views) > 1:
            raise InvalidRequestError(f"{path}: only one code execution tool is allowed")
        functions = _functions(version, tools)
        names = self._names(version, functions, tools, path)
        seen = [definition(name, functions, self._seconds) for name in names]
        if "cache_control" in tool:
            seen[-1]["cache_control"] = tool["cache_control"]
        hidden = frozenset(each.index for each in functions if not each.direct)
        return ToolOffer(seen, hidden, marks_direct=bool(functions))

    def prepare(self, context: RequestContext, pending: Sequence[ToolCall]) -> PreparedTool:
        """Prepares the container of one request; it is made when there is something to run.

        Raises `InvalidRequestError` with the path.
        """
        tools = context.tools
        version = next(VERSIONS[view.type] for view in tools.views if view.type in VERSIONS)
        functions = _functions(version, tools)
        if functions:
            _check_choice(context, functions)
        container = RequestContainer(
            self._sandbox,
            context,
            pending,
            version=version,
            functions=functions,
            new_lock=self._new_lock,
        )
        return PreparedTool(container.run, container.check, container.call_prefix)

    def runs_code(self, tool: Json) -> bool:
        """Tells whether code of this version may call tools, and the operator lets it."""
        version = VERSIONS.get(tool["type"])
        return self._options.programmatic and version is not None and version.caller is not None

    def to_tool_result(self, content: Any, context: RequestContext) -> Json:  # noqa: ARG002  # the same for all
        """Returns what was printed, or what went wrong, in words. Raises MISSHAPEN's."""
        return to_tool_result(content)

    def _names(
        self, version: Version, functions: Sequence[Function], tools: RequestTools, path: str
    ) -> Sequence[str]:
        """Returns the names of what the model may do. Raises `InvalidRequestError`."""
        if functions and not self._options.programmatic:
            raise InvalidRequestError(
                f"{path}: programmatic tool calling is switched off on this proxy; remove "
                "allowed_callers from the tools"
            )
        if tools.provides_code:
            return (PYTHON,)
        if self._options.standalone:
            if functions and PYTHON not in version.calls:
                return (PYTHON, *version.calls)
            return version.calls
        if not functions:
            raise InvalidRequestError(
                f"{path}: code execution is switched off on this proxy, but for code that calls "
                "your tools; remove it, or give tools allowed_callers"
            )
        return (PYTHON,)


def _functions(version: Version, tools: RequestTools) -> list[Function]:
    return [] if version.caller is None else read_functions(tools)


def _check_choice(context: RequestContext, functions: Sequence[Function]) -> None:
    """Raises `InvalidRequestError` for what cannot be together with functions."""
    raw = context.fields.get("tool_choice")
    choice: Any = None if raw is None else decode(raw)
    if not isinstance(choice, dict):
        return
    if choice.get("disable_parallel_tool_use"):
        raise InvalidRequestError(
            "tool_choice.disable_parallel_tool_use: not supported with programmatic tool calling"
        )
    hidden = {each.tool for each in functions if not each.direct}
    if choice.get("type") == "tool" and choice.get("name") in hidden:
        raise InvalidRequestError(
            f"tool_choice.name: only code may call {choice['name']}; "
            f'add "{DIRECT}" to its allowed_callers'
        )
