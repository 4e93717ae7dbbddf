"""Refusals of msgspec in the words of people: no pattern and no name of a Python type."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from . import patterns

_KINDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_PATTERN: Final = re.compile(r"(?s)Expected `str` matching regex (?P<pattern>'.*'|\".*\")")
_KIND: Final = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`")
_PLAIN: Final = re.compile(r"Expected `(?P<wanted>[^`]+)`")
_BOUND: Final = re.compile(r"Expected `[^`]+` (?P<sign><=|>=|<|>) (?P<bound>.+)")
_LENGTH: Final = re.compile(r"Expected `(?P<kind>\w+)` of length (?P<sign><=|>=) (?P<bound>\d+)")
_ENUM: Final = re.compile(r"(?s)Invalid enum value (?P<value>.*)")
_SIGNS: Final = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}


def in_words(message: str) -> str:
    """Writes a refusal without its place in words.

    >>> in_words("Expected `int | null`, got `str`")
    'must be a whole number or null, not text'
    >>> in_words("Expected `str` of length >= 1")
    'must have at least 1 character'
    """
    for pattern, write in _WRITERS:
        if match := pattern.fullmatch(message):
            return write(match)
    return message


def _of_pattern(match: re.Match[str]) -> str:
    return f"must be {patterns.words(match['pattern'])}"


def _of_kind(match: re.Match[str]) -> str:
    return f"must be {_kinds(match['wanted'])}, not {_kinds(match['got'])}"


def _of_length(match: re.Match[str]) -> str:
    what = "character" if match["kind"] == "str" else "entry"
    if match["bound"] != "1":
        what = "characters" if match["kind"] == "str" else "entries"
    return f"must have {_SIGNS[match['sign']]} {match['bound']} {what}"


def _kinds(text: str) -> str:
    return " or ".join(_KINDS.get(one, one) for one in text.split(" | "))


_WRITERS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...]] = (
    (_PATTERN, _of_pattern),
    (_KIND, _of_kind),
    (_LENGTH, _of_length),
    (_BOUND, lambda match: f"must be {_SIGNS[match['sign']]} {match['bound']}"),
    (_PLAIN, lambda match: f"must be {_kinds(match['wanted'])}"),
    (_ENUM, lambda match: f"{match['value']} is none of the values that are allowed"),
)
