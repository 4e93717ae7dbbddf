"""Tool search: the model looks for tools whose definitions it was not given.

Both kinds, regular expression and BM25, search the deferred tools of the request (the others the
model sees anyway): name, description, names and descriptions of the arguments. What is found is
told as `tool_reference`s, which load the tools (protocol/adapt/tools.py).
Source: Anthropic API, "Tool search tool"; types of the official SDKs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import InvalidRequestError
from ..protocol.raw import Json, decode_raws
from .base import NewLock, PreparedTool, ServerTool, ShowBlock, ToolOffer
from .calls import Finished, RequestContext, RequestTools, ToolCall
from .ranking import Ranking
from .regex import Pattern, PatternError
from .work import MAX_STEPS, Pause, Work, WorkError

REGEX: Final = "tool_search_tool_regex"
BM25: Final = "tool_search_tool_bm25"
_KINDS: Final = {REGEX: REGEX, BM25: BM25, f"{REGEX}_20251119": REGEX, f"{BM25}_20251119": BM25}
_MAX_PATTERN: Final = 200
_MAX_QUERY: Final = 500
_MAX_LIMIT: Final = 10_000
_DEFAULT_LIMIT: Final = 5
_MAX_FIELD: Final = 2_000  # characters of each text that are searched
# In steps of `Work`.
_CALL_COSTS: Final = 5_000
_READING_SAVES: Final = 4  # for each so many bytes of a tool one step
_FOUND_COSTS: Final = 300  # for each tool found: the model's next request is made of them
_RESULT: Final = "tool_search_tool_result"
_FOUND: Final = "tool_search_tool_search_result"
_FAILED: Final = "tool_search_tool_result_error"
_TOO_MUCH: Final = "Too much to search; use a simpler search"
_UNAVAILABLE: Final = "Tools cannot be searched at the moment"
_NOTHING: Final = "No tool was found. Try a broader search."
_LIMIT: Final = {
    "type": "integer",
    "minimum": 1,
    "maximum": _MAX_LIMIT,
    "description": f"How many tools to return at most, {_DEFAULT_LIMIT} unless told",
}
_REGEX_WORDS: Final = (
    "Finds tools that can be used but are not loaded yet. Give a Python regular expression of up "
    f"to {_MAX_PATTERN} characters; it is searched for, whatever the case, in the names, "
    "descriptions and arguments of these tools. The tools that it returns can be called from then "
    "on."
)
_BM25_WORDS: Final = (
    "Finds tools that can be used but are not loaded yet. Say in a few words, up to "
    f"{_MAX_QUERY} characters, what a tool should do; the best matches by name, description and "
    "arguments are returned and can be called from then on."
)
# By name: the argument, what the model is told about the tool and about the argument.
_INPUTS: Final = {
    REGEX: ("pattern", _REGEX_WORDS, "A regular expression, e.g. get_.*_data or slack|email"),
    BM25: ("query", _BM25_WORDS, "What to look for, in words"),
}


_decode_tool = msgspec.json.Decoder(dict[str, Any], float_hook=str).decode


def _failed(code: str, message: str) -> Json:
    return {"type": _FAILED, "error_code": code, "error_message": message}


_TIMED_OUT: Final = _failed("execution_time_exceeded", _TOO_MUCH)


class ToolSearch(ServerTool):
    """Both kinds of tool search."""

    result_types = frozenset((_RESULT,))
    user_blocks: Mapping[str, ShowBlock] = MappingProxyType({})
    fields = ()
    usage_field = None
    timeout_seconds = None  # its work is bounded instead

    def __init__(self, pause: Pause, new_lock: NewLock) -> None:
        """Work that takes long awaits `pause`; a lock keeps the searches of a request in line."""
        self._pause = pause
        self._new_lock = new_lock

    def claims(self, kind: str) -> bool:
        """Tells whether the type is one of the two kinds, with or without the date."""
        return kind in _KINDS

    def is_call(self, name: str) -> bool:
        """Tells whether the name is that of one of the two kinds."""
        return name in _INPUTS

    def result_type(self, name: str) -> str:  # noqa: ARG002  # both kinds have the same
        """Returns the one type of results."""
        return _RESULT

    def timed_out(self, name: str) -> Json:  # noqa: ARG002  # as above
        """Returns the error for too much work."""
        return _TIMED_OUT

    def unavailable(self, name: str) -> Json:  # noqa: ARG002  # as above
        """Returns the error for a fault of our own."""
        return _failed("unavailable", _UNAVAILABLE)

    def offer(self, tool: Json, path: str, tools: RequestTools) -> ToolOffer:  # noqa: ARG002  # it is the same whatever they are
        """Raises `InvalidRequestError` with the path."""
        name = _KINDS[tool["type"]]
        if tool.get("name") != name:
            raise InvalidRequestError(f"{path}.name: Input should be '{name}'")
        argument, description, meaning = _INPUTS[name]
        properties = {argument: {"type": "string", "description": meaning}, "limit": _LIMIT}
        seen: Json = {
            "name": name,
            "description": description,
            "input_schema": {"type": "object", "properties": properties, "required": [argument]},
        }
        if "cache_control" in tool:
            seen["cache_control"] = tool["cache_control"]
        return ToolOffer([seen])

    def prepare(self, context: RequestContext, pending: Sequence[ToolCall]) -> PreparedTool:  # noqa: ARG002  # they are calls as any
        """Prepares the search of one request; its index is made for the first call.

        Calls search one after the other: together they would make the index twice.
        """
        search = Search(context.fields["tools"], Work(MAX_STEPS, self._pause))
        lock = self._new_lock()

        async def run(call: ToolCall) -> Finished:
            async with lock:
                return Finished(await search.run(call.name, call.input))

        return PreparedTool(run)

    def to_tool_result(self, content: Any, context: RequestContext) -> Json:  # noqa: ARG002  # the same for all
        """Returns the references, which adapting resolves, or else words. Raises MISSHAPEN's."""
        if content["type"] == _FOUND:
            references = content["tool_references"]
            return {"content": references or _NOTHING}
        code, message = content["error_code"], content.get("error_message")
        return {"content": f"{code}: {message}" if message else code, "is_error": True}


class _Entry(msgspec.Struct):
    """One deferred tool; `texts` begin with its name."""

    name: str
    texts: list[str]


class Search:
    """The deferred tools of a request. All searches for them spend of the same `work`."""

    def __init__(self, tools: Raw, work: Work) -> None:
        self._tools = tools
        self._work = work
        self._entries: list[_Entry] | None = None
        self._ranking: Ranking | None = None

    async def run(self, name: str, given: Any) -> Json:
        """Returns `content` of the result block for one call. Raises nothing."""
        argument, *_ = _INPUTS[name]
        longest = _MAX_PATTERN if name == REGEX else _MAX_QUERY
        search = self._match if name == REGEX else self._rank
        try:
            if self._work.spend(_CALL_COSTS):
                await self._work.pause()
            wanted, limit = _read(given, argument, longest)
            names = (await search(wanted))[:limit]
            self._work.spend(_FOUND_COSTS * len(names) + sum(map(len, names)))
        except _InputError as error:
            return _failed("invalid_tool_input", str(error))
        except PatternError as error:
            return _failed("invalid_tool_input", f"Invalid regular expression: {error}")
        except WorkError:
            return _TIMED_OUT
        references = [{"type": "tool_reference", "tool_name": found} for found in names]
        return {"type": _FOUND, "tool_references": references}

    async def _match(self, pattern: str) -> list[str]:
        """Tools found by their name first, each part in the order of the request."""
        compiled = Pattern(pattern, self._work)
        by_name, by_text = [], []
        for entry in await self._catalogue():
            if await compiled.search(entry.name):
                by_name.append(entry.name)
                continue
            for text in entry.texts[1:]:
                if await compiled.search(text):
                    by_text.append(entry.name)
                    break
        return by_name + by_text

    async def _rank(self, query: str) -> list[str]:
        entries = await self._catalogue()
        if self._ranking is None:
            ranking = Ranking(self._work)
            for entry in entries:
                await ranking.add(entry.texts)
            self._ranking = ranking
        return [entries[place].name for place in await self._ranking.best(query)]

    async def _catalogue(self) -> list[_Entry]:
        """Reads the deferred tools one by one, and only once: calls come one after the other."""
        if self._entries is None:
            entries = []
            for raw in decode_raws(self._tools):
                if self._work.spend(1 + len(raw) // _READING_SAVES):
                    await self._work.pause()
                tree = _decode_tool(raw)
                tool = {**tree, **_object(tree.get("custom"))}
                # One that only code may call is told of with the code execution tool.
                callers = tool.get("allowed_callers")
                if isinstance(callers, list) and callers and "direct" not in callers:
                    continue
                if tool.get("defer_loading") is True and isinstance(tool.get("name"), str):
                    entries.append(_Entry(tool["name"], _texts(tool)))
            self._entries = entries
        return self._entries


class _InputError(Exception):
    """The model's input is not what the tool asks for."""


def _read(given: Any, argument: str, longest: int) -> tuple[str, int]:
    """Reads (what to look for, limit). Raises `_InputError`."""
    if not isinstance(given, dict):
        raise _InputError("The input must be a JSON object")
    wanted = given.get(argument)
    if not isinstance(wanted, str) or not wanted.strip():
        raise _InputError(f"{argument}: a string is required")
    if len(wanted) > longest:
        raise _InputError(f"{argument}: at most {longest} characters are allowed")
    limit = given.get("limit")
    if limit is None:
        return wanted, _DEFAULT_LIMIT
    if isinstance(limit, float) and limit.is_integer():
        limit = int(limit)  # some models write every number with a fraction
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= _MAX_LIMIT:
        raise _InputError(f"limit: must be an integer from 1 to {_MAX_LIMIT}")
    return wanted, limit


def _texts(tool: Json) -> list[str]:
    texts = [tool["name"], tool.get("description")]
    for name, schema in _object(_object(tool.get("input_schema")).get("properties")).items():
        texts += [name, _object(schema).get("description")]
    return [text[:_MAX_FIELD] for text in texts if isinstance(text, str)]


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
