"""Reads in a refusal of Bedrock's what it does not take: a beta flag, a field, a service tier.

A refusal may repeat the client's own words, and what is read here may be left out of the requests
of others. So a field counts only where Anthropic's API has it, and only if the request had it
there; everything else is the client's mistake, of which it must hear.
Source: public issue threads about Claude on Bedrock.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, cast

import msgspec

from ...models.betas import BETA_HEADER
from ...protocol.request.policy import Policy
from ...upstream.base import ModelCall
from .known import Lesson
from .raw_paths import EXTRA, Found, fields_of, locate

# What a refusal begins with is Bedrock's; what follows may be the client's own words, of any
# length: hence possessive.
_PREFIX: Final = re.compile(
    r"(?:The model returned the following errors: |Malformed input request: |[,;\s])*+"
)
_EXTRA_INPUT: Final = re.compile(r"([A-Za-z_][\w.\-]*+): Extra inputs are not permitted")
_EXTRANEOUS: Final = re.compile(r"#/?([\w/\-]*+): extraneous key \[([\w\-]++)\] is not permitted")
_INVALID_FLAG: Final = re.compile(
    r"invalid beta flag|Unexpected value\(s\) |`?anthropic[-_]beta", re.IGNORECASE
)
_TIER: Final = re.compile(r"service[ _-]?tier", re.IGNORECASE)
_BETAS: Final = "anthropic_beta"
_MAX_WORDS: Final = 200  # characters of one path with its complaint
_MAX_PATHS: Final = 8

_TOOL: Final = r"tools\.\*(?:\.custom)?"
_BLOCK: Final = r"(?:system\.\*|messages\.\*\.content\.\*(?:(?:\.source)?\.content\.\*)*)"
_MARK: Final = rf"(?:(?:{_TOOL}|{_BLOCK})\.)?cache_control"
# Fields of Anthropic's API that a request can do without, where they belong.
_OPTIONAL: Final = re.compile(
    "|".join(
        (
            r"metadata|speed|user_profile_id",
            rf"{_TOOL}\.(?:allowed_callers|eager_input_streaming|strict)",
            r"toolConfig\.tools\.\*\.toolSpec\.strict",
            rf"{_BLOCK}\.(?:caller|citations|context|is_error|parsed_output)",
            rf"{_BLOCK}\.(?:title|toolset_name|transformations)",
            rf"{_MARK}(?:\.(?:scope|ttl))?",
            r"(?:messages\.\*\.)?output_config\.(?:effort|task_budget)",
            r"thinking\.(?:block_binding|display)",
            r"tool_choice\.disable_parallel_tool_use",
        )
    )
)
# Fields that stand for a feature with a flag: without it the proxy does the thing itself.
_FEATURES: Final = {
    "context_management": re.compile("context_management"),
    "defer_loading": re.compile(rf"{_TOOL}\.defer_loading"),
    "input_examples": re.compile(rf"{_TOOL}\.input_examples"),
    "safeguards": re.compile("safeguards"),
}
_OF_CUSTOM_TOOLS: Final = ("", "custom")

_decode_flags = msgspec.json.Decoder(list[str]).decode


def read_refusal(
    message: str, call: ModelCall, policy: Policy, needed_for: Mapping[str, str]
) -> Iterator[Lesson]:
    """Reads the lessons of the refusal of `call`; `needed_for` is the table of flags by feature."""
    tier = _TIER.search(message) if policy.service_tier != "default" else None
    if tier is not None and tier[0].encode() not in call.body:
        yield Lesson("tier", policy.service_tier, tier[0])
    paths = list(_refused_paths(message))
    for path, words in paths:
        found = locate(call.body, path)
        if found is not None and (lesson := _of_path(path, found, words, needed_for)) is not None:
            yield lesson
    if not paths and (match := _INVALID_FLAG.match(message, _begin(message, 0))):
        yield from _of_flags(message, match[0], call, needed_for)


def sent_flags(call: ModelCall) -> list[str]:
    """Returns the beta flags of a call, wherever its dialect has them."""
    for name, value in call.headers:
        if name == BETA_HEADER:
            return value.split(",")
    fields = fields_of(call.body)
    raw = fields.get(_BETAS) or fields_of(fields.get(EXTRA, b"")).get(_BETAS)
    return [] if raw is None else _decode_flags(raw)


def _of_path(
    path: list[str], found: Found, words: str, needed_for: Mapping[str, str]
) -> Lesson | None:
    where = ".".join(found.keys)
    feature = _FEATURES.get(found.keys[-1])
    if feature is not None:
        flag = needed_for.get(found.keys[-1])
        belongs = feature.fullmatch(where) and (
            len(found.keys) == 1 or found.kind in _OF_CUSTOM_TOOLS
        )
        return Lesson("beta", flag, words) if belongs and flag else None
    if _OPTIONAL.fullmatch(where):
        name = ".".join("*" if part.isdecimal() else part for part in path)
        return Lesson("field", name, words)
    return None


def _of_flags(
    message: str, words: str, call: ModelCall, needed_for: Mapping[str, str]
) -> Iterator[Lesson]:
    # A path can begin so too: that of a key which the client invented.
    for key in fields_of(call.body):
        if key.lower().startswith(words.lower()) and key != _BETAS:
            return
    sent = sent_flags(call)
    named = [flag for flag in sent if flag in message]
    for flag in named:
        yield Lesson("beta", flag, f"{words.strip()}: {flag}")
    if sent and not named:
        # AWS seldom says which one. Those that no field of the request needs are suspected first:
        # without the others, the proxy has to do something itself.
        idle = [flag for flag in sent if flag not in needed_for.values()]
        yield Lesson("beta", (idle or sent)[0], words.strip(), guessed=True)


def _begin(message: str, position: int) -> int:
    """Returns the position where Bedrock's own words begin."""
    return cast(re.Match[str], _PREFIX.match(message, position)).end()


def _refused_paths(message: str) -> Iterator[tuple[list[str], str]]:
    """Yields the paths that a refusal begins with, each with what it says of it."""
    position = _begin(message, 0)
    for _ in range(_MAX_PATHS):
        if match := _EXTRA_INPUT.match(message, position):
            path = match[1].split(".")
        elif match := _EXTRANEOUS.match(message, position):
            path = [*filter(None, match[1].split("/")), match[2]]
        else:
            return
        if len(match[0]) > _MAX_WORDS:
            return
        yield path, match[0]
        position = _begin(message, match.end())
