"""Replies as values: the built-in one, and the completion of a scripted one.

A reply is Anthropic content blocks, a stop reason and usage; both dialects render it. The
built-in reply is a pure function of the prompt, so that tests can rely on it: it says that it is
the simulator and repeats the last words of the user, calls a tool only when one is forced, and
obeys `max_tokens` and `stop_sequences` the way the API does.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .guardrail import BLOCKED_TEXT
from .prompt import Prompt, signature, tokens
from .script import Reply, Step
from .wire.ids import new_id

_ECHO_CHARACTERS = 200
_MAX_DEPTH = 8
_THINKING = "The simulator does not think. It repeats what the user said."


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """Token counts of one answer."""

    input_tokens: int
    output_tokens: int
    cache_read: int = 0
    cache_5m: int = 0
    cache_1h: int = 0

    @property
    def cache_write(self) -> int:
        """Returns the tokens written to the cache, whatever their time to live."""
        return self.cache_5m + self.cache_1h

    def until(self, sent: int, total: int) -> Counted:
        """Returns the counts to bill when `sent` of `total` stream events went out."""
        if sent >= total:
            return self
        return msgspec.structs.replace(self, output_tokens=self.output_tokens * sent // total)


class SimulatedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A complete reply, ready to be rendered."""

    content: list[dict[str, Any]]
    stop_reason: str
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None
    usage: Counted
    chunk_chars: int | None = None


def answer(prompt: Prompt, step: Step | None) -> SimulatedAnswer:
    """Returns the scripted reply if the step has one, else the built-in reply.

    A prompt that a guardrail stops gets the guardrail's reply instead.
    """
    if prompt.guardrail is not None and prompt.guardrail.blocks:
        return SimulatedAnswer(
            content=[{"type": "text", "text": BLOCKED_TEXT}],
            stop_reason="guardrail_intervened",
            usage=Counted(input_tokens=0, output_tokens=0),
        )
    if step is not None and step.reply is not None:
        return _scripted(prompt, step.reply)
    return _built_in(prompt)


def _scripted(prompt: Prompt, reply: Reply) -> SimulatedAnswer:
    content = _completed(prompt, reply.content)
    reason = reply.stop_reason
    if reason is None:
        calls = any(block.get("type") == "tool_use" for block in content)
        reason = "tool_use" if calls else "end_turn"
    usage = reply.usage
    return SimulatedAnswer(
        content=content,
        stop_reason=reason,
        stop_sequence=reply.stop_sequence,
        stop_details=reply.stop_details,
        chunk_chars=reply.chunk_chars,
        usage=Counted(
            input_tokens=prompt.input_tokens if usage.input_tokens is None else usage.input_tokens,
            output_tokens=(
                _output_tokens(content) if usage.output_tokens is None else usage.output_tokens
            ),
            cache_read=usage.cache_read_input_tokens,
            cache_5m=usage.cache_creation_5m_input_tokens,
            cache_1h=usage.cache_creation_1h_input_tokens,
        ),
    )


def _completed(prompt: Prompt, content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Adds missing ids and signatures; a search result gets the id of the search before it."""
    completed: list[dict[str, Any]] = []
    search = ""
    for block in content:
        kind = block.get("type")
        if kind == "tool_use":
            filled = {"id": new_id("toolu_bdrk_"), "input": {}, **block}
        elif kind == "server_tool_use":
            filled = {"id": new_id("srvtoolu_bdrk_"), "input": {}, **block}
            search = filled["id"]
        elif kind == "tool_search_tool_result":
            filled = {"tool_use_id": search, **block}
        elif kind == "thinking" and "signature" not in block and prompt.model.is_claude:
            filled = {**block, "signature": signature(block.get("thinking", ""))}
        else:
            filled = block
        completed.append(filled)
    return completed


def _built_in(prompt: Prompt) -> SimulatedAnswer:
    content: list[dict[str, Any]] = []
    room = prompt.max_tokens
    if prompt.thinking != "off":
        shown = _THINKING if prompt.thinking == "shown" else ""
        content.append({"type": "thinking", "thinking": shown, "signature": signature(shown)})
        room -= tokens(len(_THINKING))
    if prompt.forced_tool is not None:
        name, schema = prompt.forced_tool
        call = {"type": "tool_use", "id": new_id("toolu_bdrk_"), "name": name, "input": {}}
        call["input"] = minimal(schema)
        content.append(call)
        reason, matched = "tool_use", None
    else:
        text, reason, matched = _limited(_text(prompt), max(room, 1), prompt.stop_sequences)
        if text:
            content.append({"type": "text", "text": text})
    output = min(_output_tokens(content), prompt.max_tokens)
    usage = Counted(input_tokens=prompt.input_tokens, output_tokens=max(output, 1))
    return SimulatedAnswer(content=content, stop_reason=reason, stop_sequence=matched, usage=usage)


def _text(prompt: Prompt) -> str:
    if prompt.json_schema is not None:
        return msgspec.json.encode(minimal(prompt.json_schema)).decode()
    said = " ".join(prompt.last_user_text[: 4 * _ECHO_CHARACTERS].split())
    if len(said) > _ECHO_CHARACTERS:
        said = said[:_ECHO_CHARACTERS].rstrip() + "\u2026"
    intro = f"This is the Bedrock simulator standing in for {prompt.model.name}; no model ran."
    return f"{intro} You said: {said}" if said else intro


def _limited(text: str, room: int, stops: list[str]) -> tuple[str, str, str | None]:
    found = [(position, stop) for stop in stops if (position := text.find(stop)) >= 0]
    position, stop = min(found) if found else (len(text), "")
    if tokens(position) > room:
        return text[: room * 4], "max_tokens", None
    if found:
        return text[:position], "stop_sequence", stop
    return text, "end_turn", None


def _output_tokens(content: list[dict[str, Any]]) -> int:
    total = 0
    for block in content:
        if block.get("type") == "text":
            total += tokens(len(block.get("text", "")))
        elif block.get("type") == "thinking":
            total += tokens(len(block.get("thinking", "") or _THINKING))
        else:
            total += tokens(len(msgspec.json.encode(block)))
    return max(total, 1)


def minimal(schema: Any, root: Any = None, depth: int = 0) -> Any:
    """Makes the smallest value with the shape of a JSON schema (keywords of shape only)."""
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return {}
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    if isinstance(reference := schema.get("$ref"), str):
        target = root
        for part in reference.removeprefix("#/").split("/"):
            target = target.get(part, {}) if isinstance(target, dict) else {}
        return minimal(target, root, depth + 1)
    for union in ("anyOf", "oneOf", "allOf"):
        if schema.get(union):
            return minimal(schema[union][0], root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else None)
    return _minimal_of(kind[0] if isinstance(kind, list) and kind else kind, schema, root, depth)


def _minimal_of(kind: Any, schema: dict[str, Any], root: Any, depth: int) -> Any:
    if kind == "object":
        properties = schema.get("properties") or {}
        required = [name for name in schema.get("required") or [] if isinstance(name, str)]
        return {name: minimal(properties.get(name, {}), root, depth + 1) for name in required}
    if kind == "array":
        count = schema.get("minItems") or 0
        return [minimal(schema.get("items", {}), root, depth + 1) for _ in range(count)]
    if kind == "string":
        return "x" * (schema.get("minLength") or 0)
    if kind in ("integer", "number"):
        return schema.get("minimum", 0)
    return {"boolean": False, "null": None}.get(str(kind), "")
