"""The script: a queue of steps that say what the simulator answers and how it fails.

A request that passed authentication and validation takes the first step whose matcher fits; a
step serves `times` requests and then leaves the queue. No fitting step means the built-in reply.
A step either refuses (`error`), replies (`reply`, `raw_events`, `raw_body`) or leaves the reply
to the simulator; in all cases `faults`, delays and `chunk_bytes` shape the delivery.
Unknown fields are refused, so that a misspelt script fails when it is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal

import msgspec

from .wire.faults import Fault

Operation = Literal[
    "InvokeModel",
    "InvokeModelWithResponseStream",
    "Converse",
    "ConverseStream",
    "CountTokens",
    "Messages",
    "MessagesStream",
    "MantleMessages",
    "MantleMessagesStream",
    "MantleCountTokens",
    "ListInferenceProfiles",
    "GetInferenceProfile",
    "ListFoundationModels",
]


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Conditions of a step, all of which must hold.

    `model` is a substring of the id in the path, `text` of the last user message, `body` a
    regular expression searched in the raw body; `service_tier` is the tier asked for.
    """

    model: str | None = None
    operation: Operation | None = None
    text: str | None = None
    body: str | None = None
    service_tier: str | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for a regular expression that does not compile."""
        if self.body is not None:
            try:
                re.compile(self.body)
            except re.error as error:
                raise ValueError(f"match.body is not a regular expression: {error}") from error


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Token counts of a reply; what is absent is estimated (input, output) or zero (cache)."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int = 0
    cache_creation_5m_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The model's reply as Anthropic content blocks, for either dialect.

    Missing ids and signatures are filled in. `chunk_chars` is the length of each streamed delta
    in characters; by default text is cut at word boundaries. `stop_details` goes out as given.
    """

    content: list[dict[str, Any]]
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: dict[str, Any] | None = None
    usage: Usage = Usage()
    chunk_chars: int | None = None


class Error(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A refusal before any stream. `retry_after` in seconds.

    With `envelope: "anthropic"` the body is Anthropic's error document and there is no
    `x-amzn-ErrorType`, as some newer models answer; without one the endpoint decides.
    """

    type: str
    message: str = ""
    status: int | None = None
    retry_after: float | None = None
    envelope: Literal["aws", "anthropic"] | None = None


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One entry of the script. Delays are milliseconds.

    `raw_events` are sent verbatim in place of a reply's events (streaming operations only);
    `raw_body` is sent verbatim as the whole answer body; `hang` reads the request and never
    answers.
    """

    match: Match | None = None
    times: int | Literal["forever"] = 1
    reply: Reply | None = None
    error: Error | None = None
    raw_events: list[dict[str, Any]] | None = None
    raw_body: str | None = None
    faults: list[Fault] = []
    hang: bool = False
    delay_ms: float = 0
    event_delay_ms: float = 0
    chunk_bytes: int | None = None

    def __post_init__(self) -> None:
        """Raises `ValueError` for two answers in one step, or sizes below one."""
        answers = (self.reply, self.error, self.raw_events, self.raw_body)
        if sum(answer is not None for answer in answers) + self.hang > 1:
            raise ValueError("a step holds at most one of reply, error, raw_events, raw_body, hang")
        if self.times != "forever" and self.times < 1:
            raise ValueError('times is a positive number or "forever"')
        if self.chunk_bytes is not None and self.chunk_bytes < 1:
            raise ValueError("chunk_bytes is at least 1")
        if self.reply and self.reply.chunk_chars is not None and self.reply.chunk_chars < 1:
            raise ValueError("chunk_chars is at least 1")


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a request that conditions look at."""

    operation: str
    model: str
    text: str
    body: bytes
    service_tier: str | None = None


class Script:
    """The queue. `take` is the only reader; it consumes."""

    def __init__(self, steps: Iterable[Step] = ()) -> None:
        self._steps: list[list[Any]] = []
        self.extend(steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __bool__(self) -> bool:
        return bool(self._steps)

    def extend(self, steps: Iterable[Step]) -> None:
        """Adds steps at the end of the queue."""
        for step in steps:
            self._steps.append([step, step.times])

    def clear(self) -> None:
        """Forgets every step."""
        self._steps.clear()

    def remaining(self) -> list[dict[str, Any]]:
        """Lists the steps still queued, with `times` reduced by the requests served."""
        return [{**msgspec.to_builtins(step), "times": left} for step, left in self._steps]

    def take(self, seen: Seen) -> Step | None:
        """Takes the first fitting step, counted as used; None if none fits."""
        for position, entry in enumerate(self._steps):
            step: Step = entry[0]
            if step.raw_events is not None and not seen.operation.endswith("Stream"):
                continue
            if step.match and not _fits(step.match, seen):
                continue
            if entry[1] != "forever":
                entry[1] -= 1
                if entry[1] == 0:
                    del self._steps[position]
            return step
        return None


def _fits(match: Match, seen: Seen) -> bool:
    return (
        (match.operation is None or match.operation == seen.operation)
        and (match.model is None or match.model in seen.model)
        and (match.text is None or match.text in seen.text)
        and (match.service_tier is None or match.service_tier == seen.service_tier)
        and (
            match.body is None
            or _pattern(match.body).search(seen.body.decode(errors="replace")) is not None
        )
    )


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    steps: list[Step]


def parse_steps(data: bytes) -> list[Step]:
    """Decodes steps from JSON: one step, a list of steps, or `{"steps": […]}`.

    Raises `msgspec.ValidationError` or `msgspec.DecodeError` with the place of the mistake.
    """
    tree = msgspec.json.decode(data)
    if isinstance(tree, list):
        return msgspec.convert(tree, list[Step])
    if isinstance(tree, dict) and "steps" in tree:
        return msgspec.convert(tree, _Document).steps
    return [msgspec.convert(tree, Step)]
