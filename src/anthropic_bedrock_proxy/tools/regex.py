r"""Python's regular expressions, asked only whether they match, in linear time.

A model writes the pattern and a client the texts, so neither may be trusted with `re`'s
backtracking: `(a+)+b` takes exponential time, and no timeout can stop it. The pattern is compiled
into a nondeterministic automaton whose states are followed all at once, and what was followed is
remembered as a deterministic one (Thompson 1968; Cox, "Regular Expression Matching Can Be Simple
And Fast"). What a single character or assertion matches is still `re`'s own word, so `\w`, sets
and case mean what they mean in Python. Look-around, back-references, conditions, atomic groups and
possessive quantifiers have no place in such an automaton and are refused.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from .work import Work

MAX_STATES: Final = 500
MAX_SETS: Final = 10
MAX_SPAN: Final = 30_000  # characters in the ranges of all sets: `re` looks at each, twice
_MAX_REMEMBERED: Final = 500
# In steps of `Work`, of which a character costs one where the automaton is known.
_COMPILING_COSTS: Final = 200  # for each character of the pattern
_SPAN_COSTS: Final = 5  # for each character of a range
_SEARCHING_COSTS: Final = 20  # for each text
_ASSERTING_COSTS: Final = 4  # for each character and kind of assertion
_FOLLOWING_COSTS: Final = 12  # for each state that a new step of the automaton holds
_PLAIN_SAVES: Final = 16  # how much cheaper `re` is
_BRANCHING: Final = frozenset("()*+?{")
_FLAGS: Final = re.compile(r"(?:\(\?[aimsu]+\))+")
_GROUP: Final = re.compile(r"\((?:\?(?:i?:|P<\w+>))?(?!\?)")
_ASSERTION: Final = re.compile(r"\\[bBAZ]|[\^$]")
_QUANTIFIER: Final = re.compile(r"(?:([*+?])|\{(?=[\d,])(\d*)(?:(,)(\d*))?\})([?+]?)")
_CHARACTER: Final = re.compile(r"\\(?:x[\da-fA-F]{2}|u[\da-fA-F]{4}|.)|.", re.DOTALL)
_LATIN, _BEYOND = 0x100, 0x10000  # of what is beyond, `re` looks at no single one
_ATOM: Final = re.compile(
    r"\\(?:x..|u.{4}|U.{8}|N\{[^}]*\}|0[0-7]{0,2}|[^\d])|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\]",
    re.DOTALL,
)


class PatternError(Exception):
    """The pattern is not valid, or not one that can be searched for safely."""


class _Repeat(NamedTuple):
    item: Any
    least: int
    most: int | None


class _Either(NamedTuple):
    branches: list[list[Any]]


class _Assertion(NamedTuple):
    text: str


class _Parser:
    """A pattern that `re` has found valid, as lists of atoms and the tuples above."""

    def __init__(self, pattern: str, start: int) -> None:
        self._pattern = pattern
        self._at = start

    def parse(self) -> _Either:
        branches = [self._branch()]
        while self._pattern.startswith("|", self._at):
            self._at += 1
            branches.append(self._branch())
        return _Either(branches)

    def _branch(self) -> list[Any]:
        items: list[Any] = []
        while self._at < len(self._pattern) and self._pattern[self._at] not in "|)":
            items.append(self._repeated(self._item()))
        return items

    def _item(self) -> Any:
        if self._pattern[self._at] == "(":
            self._take(_GROUP)
            inside = self.parse()
            self._at += 1
            return inside
        if _ASSERTION.match(self._pattern, self._at):
            return _Assertion(self._take(_ASSERTION)[0])
        return self._take(_ATOM)[0]

    def _repeated(self, item: Any) -> Any:
        match = _QUANTIFIER.match(self._pattern, self._at)
        if match is None:
            return item
        self._at = match.end()
        sign, least, comma, most, suffix = match.groups()
        if suffix == "+":
            raise PatternError("possessive quantifiers are not supported")
        if sign:
            return _Repeat(item, int(sign == "+"), 1 if sign == "?" else None)
        if not comma:
            return _Repeat(item, int(least), int(least))
        return _Repeat(item, int(least or 0), int(most) if most else None)

    def _take(self, token: re.Pattern[str]) -> re.Match[str]:
        match = token.match(self._pattern, self._at)
        if match is None:
            raise PatternError(
                "look-around, back-references and other extensions are not supported"
            )
        self._at = match.end()
        return match


class _Step(dict[Any, "_Step"]):
    """A remembered step: what is read next -> the next one. It stands for the states `core`."""

    __slots__ = ("core",)

    def __init__(self, core: frozenset[int]) -> None:
        super().__init__()
        self.core = core


_MATCHED: Final = _Step(frozenset())


class Pattern:
    """A compiled pattern. Making it and searching for it spend of `work`.

    Raises `PatternError`, `WorkError`.
    """

    def __init__(self, pattern: str, work: Work) -> None:
        self._work = work
        span = _span(pattern)
        if span > MAX_SPAN or pattern.count("[") > MAX_SETS:
            raise PatternError("the pattern is too complex")
        work.spend(_COMPILING_COSTS * len(pattern) + _SPAN_COSTS * span)
        whole = _compile(pattern)
        # A fixed sequence of characters is all that `re` can be asked for without fear.
        self._plain = None if set(pattern) & _BRANCHING else whole
        flags = _FLAGS.match(pattern)
        if whole.flags & re.VERBOSE:
            raise PatternError("the flag x is not supported")
        self._flags = whole.flags
        self._atoms: dict[str, Callable[[str], Any]] = {}
        self._assertions: dict[str, tuple[int, re.Pattern[str]]] = {}  # each with its bit
        # By state: (what the next character must match, next state), or the states next to it and
        # the bits of the assertion that has to hold on the way.
        self._reads: list[tuple[Callable[[str], Any], int] | None] = [None]  # 0: matched
        self._moves: list[Sequence[int]] = [()]
        self._asserts = [0]
        self._first = frozenset(
            (self._either(_Parser(pattern, flags.end() if flags else 0).parse(), 0),)
        )
        self._known: dict[frozenset[int], _Step] = {}

    async def search(self, text: str) -> bool:
        """Tells whether the pattern matches anywhere in `text`. Raises `WorkError`."""
        work = self._work
        if self._plain is not None:
            if work.spend(_SEARCHING_COSTS + len(text) // _PLAIN_SAVES):
                await work.pause()
            return self._plain.search(text) is not None
        costs = 1 + _ASSERTING_COSTS * len(self._assertions)
        if work.spend(_SEARCHING_COSTS + costs * len(text)):
            await work.pause()
        holding = self._holding(text)
        step = self._step(self._first)
        for reads in zip(text, holding, strict=False) if self._assertions else text:
            following = step.get(reads)
            if following is None:
                following = step[reads] = self._follow(step.core, *reads)
                if work.spend(0):
                    await work.pause()
            if following is _MATCHED:
                return True
            step = following
        return self._follow(step.core, "", holding[-1]) is _MATCHED

    def _holding(self, text: str) -> bytearray:
        """Returns the bits of the assertions that hold at each place in `text`, and at its end."""
        if not self._assertions:
            return bytearray(1)
        holding = bytearray(len(text) + 1)
        for bit, assertion in self._assertions.values():
            for match in assertion.finditer(text):
                holding[match.start()] |= bit
        return holding

    def _follow(self, core: frozenset[int], character: str, holds: int = 0) -> _Step:
        """Returns the step after `character`, from all states within reach without reading."""
        reached, left = set(core), list(core)
        while left:
            state = left.pop()
            if self._asserts[state] & holds == self._asserts[state]:
                new = [move for move in self._moves[state] if move not in reached]
                reached.update(new)
                left += new
        self._work.spend(_FOLLOWING_COSTS * len(reached))
        if 0 in reached:
            return _MATCHED
        reads = (self._reads[state] for state in reached)
        after = {read[1] for read in reads if read is not None and character and read[0](character)}
        return self._step(self._first | after)

    def _step(self, core: frozenset[int]) -> _Step:
        step = self._known.get(core)
        if step is None:
            # Not `Bounded`: steps lead to each other, so they go together.
            if len(self._known) >= _MAX_REMEMBERED:
                self._forget()
            step = self._known[core] = _Step(core)
        return step

    def _forget(self) -> None:
        for step in self._known.values():
            step.clear()
        self._known.clear()

    def _state(
        self, moves: Sequence[int], read: tuple[Callable[[str], Any], int] | None = None
    ) -> int:
        if len(self._moves) >= MAX_STATES:
            raise PatternError("the pattern is too complex")
        self._moves.append(moves)
        self._reads.append(read)
        self._asserts.append(0)
        return len(self._moves) - 1

    def _build(self, item: Any, following: int) -> int:
        """Builds `item` before the state `following`; returns the state in which it begins."""
        if isinstance(item, _Either):
            return self._either(item, following)
        if isinstance(item, _Repeat):
            return self._repeat(item, following)
        if isinstance(item, _Assertion):
            state = self._state((following,))
            if item.text not in self._assertions:
                bit = 1 << len(self._assertions)
                self._assertions[item.text] = bit, re.compile(item.text, self._flags)
            self._asserts[state] = self._assertions[item.text][0]
            return state
        return self._state((), (self._atom(item), following))

    def _either(self, either: _Either, following: int) -> int:
        begins = []
        for branch in either.branches:
            begin = following
            for item in reversed(branch):
                begin = self._build(item, begin)
            begins.append(begin)
        return self._state(begins)

    def _repeat(self, repeat: _Repeat, following: int) -> int:
        begin = following
        if repeat.most is None:
            moves = [following]
            begin = self._state(moves)
            moves.append(self._build(repeat.item, begin))
        else:
            for _ in range(repeat.most - repeat.least):
                begin = self._state((self._build(repeat.item, begin), following))
        for _ in range(repeat.least):
            begin = self._build(repeat.item, begin)
        return begin

    def _atom(self, text: str) -> Callable[[str], Any]:
        known = self._atoms.get(text)
        if known is None:
            known = self._atoms[text] = _quietly(text, self._flags).fullmatch
        return known


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return _quietly(pattern, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(str(error)) from None


def _span(pattern: str) -> int:
    """Counts the characters in the ranges, at most; a few off where an end is octal."""
    if "[" not in pattern:
        return 0
    read = _CHARACTER.findall(pattern)
    ranges = ((read[i - 1], read[i + 1]) for i in range(1, len(read) - 1) if read[i] == "-")
    return sum(max(0, _code(last) - _code(first)) for first, last in ranges)


def _code(character: str) -> int:
    if len(character) > len("\\x"):
        return int.from_bytes(bytes.fromhex(character[2:]))
    if character in (r"\U", r"\N"):
        return _BEYOND
    return min(ord(character), _BEYOND) if len(character) == 1 else _LATIN


def _quietly(pattern: str, flags: int) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of sets that another version may read otherwise
        return re.compile(pattern, flags)
