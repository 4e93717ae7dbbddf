"""Holds what a row claims for a column against what would be sent."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

import msgspec
from journey import Outcome, travel
from rows import GONE, WORDS, Column, Row

_ABSENT: Final = object()
# Converse merges these into the model's own body: that is the same place.
_SAME_PLACE: Final = ("", "additionalModelRequestFields.")
_encode = msgspec.json.encode


def prove(row: Row, column: Column) -> Outcome:
    """Raises AssertionError where the claim does not hold."""
    outcome = travel(column, row.request, row.flags)
    letter = row.letter(column)
    if letter == "R":
        _refused(row, column, outcome)
        return outcome
    assert not outcome.refusal, f"refused: {outcome.refusal}"
    if letter == "N":
        _native(row, column, outcome)
    elif letter == "D":
        _dropped(row, column, outcome)
    else:
        assert letter in WORDS, letter
        _mapped(row, column, outcome)
    return outcome


def find(tree: Any, path: str) -> Any:
    """What stands at a dotted path; `_ABSENT` if nothing does."""
    for key in path.split("."):
        if isinstance(tree, list) and key.isdecimal() and int(key) < len(tree):
            tree = tree[int(key)]
        elif isinstance(tree, dict) and key in tree:
            tree = tree[key]
        else:
            return _ABSENT
    return tree


def fragment(row: Row) -> Any:
    """What the row is about, as the client wrote it."""
    if row.at == "@headers.anthropic-beta":
        return ",".join(row.flags)
    value = find(row.request, row.at)
    assert value is not _ABSENT, f"{row.name}: nothing stands at {row.at}"
    return value


def _refused(row: Row, column: Column, outcome: Outcome) -> None:
    begins = row.begins(column)
    assert outcome.refusal, "not refused"
    assert outcome.refusal.startswith(begins), (begins, outcome.refusal)
    assert outcome.by_bedrock is (column.key in row.by_bedrock), outcome.refusal
    if not row.says:
        other = _without(row, column)
        assert not other.refusal, f"refused for something else: {other.refusal}"


def _native(row: Row, column: Column, outcome: Outcome) -> None:
    places = _SAME_PLACE if column.dialect == "converse" else _SAME_PLACE[:1]
    found = [find(outcome.tree, place + row.at) for place in places]
    wanted = _encode(fragment(row))
    assert any(value is not _ABSENT and _encode(value) == wanted for value in found), (
        f"{row.at} does not stand in the body as the client wrote it"
    )


def _dropped(row: Row, column: Column, outcome: Outcome) -> None:
    named = row.named or row.at
    said = any(words.startswith(named) for words in outcome.told)
    assert said or row.silent, (named, outcome.told)
    other = _without(row, column)
    assert not other.refusal, other.refusal
    assert outcome.tree == other.tree, "the body is not the one without it"


def _mapped(row: Row, column: Column, outcome: Outcome) -> None:
    expected = row.expected(column)
    assert expected, "no proof is given"
    for path, value in expected.items():
        found = find(outcome.tree, path)
        if value == GONE:
            assert found is _ABSENT, (path, found)
        else:
            assert found is not _ABSENT, (path, outcome.tree)
            assert _encode(found) == _encode(value), (path, found)
    same = row.same.get(column.key) if isinstance(row.same, dict) else row.same
    if not same:
        other = _without(row, column)
        assert other.refusal or other.tree != outcome.tree, "nothing of it is in the body"


def _without(row: Row, column: Column) -> Outcome:
    if row.without is not None:
        return travel(column, row.without, row.flags)
    if row.at.startswith("@"):
        return travel(column, row.request)
    request = deepcopy(row.request)
    parent, _, last = row.at.rpartition(".")
    holder = find(request, parent) if parent else request
    del holder[int(last) if isinstance(holder, list) else last]
    return travel(column, request, row.flags)
