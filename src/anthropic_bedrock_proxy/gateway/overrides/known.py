"""The verdicts that are in force: those of the store, and what this process has learned since.

A verdict of the operator counts for everybody, and stands over what was learned. One that was
learned counts for the key that met it, and for everybody once two keys have. It lapses: then one
request a minute sees it as gone, to try whether it still holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Final

import msgspec

from ...bounded import Bounded
from ...models.registry import Target
from ...models.table import Capabilities
from ...store.records import ANY, CapabilityOverride
from .refusals import Lesson

PROBE_SECONDS: Final = 60.0
ENOUGH: Final = 2  # keys that have to meet a refusal before it counts for all
_MAX_REMEMBERED: Final = 1024

Verdict = CapabilityOverride
Key = tuple[str, str, str, str]
Name = tuple[str, str, str]  # model, dialect, id of the key


class View(msgspec.Struct, frozen=True, eq=False):
    """The knowledge of one model on one dialect, as one request sees it."""

    refused: Mapping[str, frozenset[str]]  # by kind
    allowed: frozenset[str]  # flags
    lapses_at: float = inf
    lessons: tuple[Lesson, ...] = ()  # of this request
    probed: Verdict | None = None  # left out of account to see whether it still holds

    def capabilities(self, capabilities: Capabilities) -> Capabilities:
        """Returns the table's capabilities, corrected by what is known."""
        flags = self.refused["beta"]
        return msgspec.structs.replace(
            capabilities,
            betas=(capabilities.betas | self.allowed) - flags,
            on_use=capabilities.on_use - flags,
        )


def capabilities_of(target: Target, view: View | None) -> Capabilities:
    """Returns what the target's model takes, as far as is known."""
    return target.capabilities if view is None else view.capabilities(target.capabilities)


class Known:
    """Verdicts by model and dialect; without any, nothing is looked up. Times are epoch seconds."""

    def __init__(self) -> None:
        # What the store does not hold yet, be it down for long; they win.
        self._own: Bounded[Key, Verdict] = Bounded(_MAX_REMEMBERED)
        self._stored: dict[Key, Verdict] = {}
        self._taught: set[str] = set()  # keys that something counts for, maybe alone
        self._views: Bounded[Name, View | None] = Bounded(_MAX_REMEMBERED)
        self._probed_at: dict[Key, float] = {}
        self.any = False  # for every request: whether there is anything to look up

    def get(self, key: Key) -> Verdict | None:
        """Returns the newest verdict that is known."""
        return self._own.get(key) or self._stored.get(key)

    def replace_stored(self, verdicts: Iterable[Verdict]) -> None:
        """Takes over what the store holds."""
        self._stored = {verdict.key: verdict for verdict in verdicts}
        for key in self._probed_at.keys() - self._stored.keys() - self._own.keys():
            del self._probed_at[key]
        self._changed()

    def put(self, verdict: Verdict) -> None:
        """Adds or replaces one that the store does not hold yet."""
        self._own[verdict.key] = verdict
        self._probed_at.pop(verdict.key, None)
        self._changed()

    def release(self, verdict: Verdict) -> None:
        """Drops a verdict that the store holds now: who removes it there is obeyed here."""
        if self._own.get(verdict.key) is verdict:
            del self._own[verdict.key]
            self._changed()

    def view(self, model: str, dialect: str, key_id: str, now: float) -> View | None:
        """Returns what a request of a key sees; None: nothing."""
        # Most keys see the same.
        name = (model, dialect, key_id if key_id in self._taught else "")
        view = self._views[name] if name in self._views else self._look(name, now)
        if view is not None and view.lapses_at <= now:
            probing = self._due(name, now)
            if probing is not None:
                return self.judge(name, now, probing=probing)
            return self._look(name, now)
        return view

    def is_settled(self, model: str, dialect: str, kind: str, name: str) -> bool:
        """Tells whether the operator has decided: another attempt would send the same again."""
        return any(
            verdict.source == "operator"
            and (verdict.kind, verdict.name) == (kind, name)
            and _concerns(verdict, model, dialect)
            for verdict in self._stored.values()
        )

    def judge(
        self,
        name: Name,
        now: float,
        lessons: tuple[Lesson, ...] = (),
        probing: Verdict | None = None,
    ) -> View | None:
        """Applies all that concerns a key; later verdicts beat earlier ones, lessons them all."""
        verdicts = self._in_force(*name, now)
        if not verdicts and not lessons:
            return None
        refused: dict[str, set[str]] = {"beta": set(), "field": set(), "tier": set()}
        allowed: set[str] = set()
        lapses_at = inf
        for verdict in verdicts:
            lapses_at = min(lapses_at, self._due_at(verdict))
            if not verdict.allowed:
                if verdict is not probing:
                    refused[verdict.kind].add(verdict.name)
                continue
            refused[verdict.kind].discard(verdict.name)
            if verdict.kind == "beta":
                allowed.add(verdict.name)
        for lesson in lessons:
            refused[lesson.kind].add(lesson.name)
        return View(
            {kind: frozenset(names) for kind, names in refused.items()},
            frozenset(allowed),
            lapses_at,
            lessons,
            probing,
        )

    def _look(self, name: Name, now: float) -> View | None:
        self._views[name] = view = self.judge(name, now)
        return view

    def _changed(self) -> None:
        self.any = bool(self._own or self._stored)
        self._views.clear()
        self._taught = {
            key_id
            for verdicts in (self._stored, self._own)
            for verdict in verdicts.values()
            for key_id in verdict.witnesses
        }

    def _due(self, name: Name, now: float) -> Verdict | None:
        """Returns a lapsed verdict, if it is time to try what it is about; counts that as tried."""
        for verdict in self._in_force(*name, now):
            if self._due_at(verdict) <= now:
                self._probed_at[verdict.key] = now
                return verdict
        return None

    def _due_at(self, verdict: Verdict) -> float:
        """Returns the moment when somebody has to look at it again."""
        if verdict.expires_at is None:
            return inf
        probed_at = self._probed_at.get(verdict.key, -inf)
        return max(verdict.expires_at, probed_at + PROBE_SECONDS)

    def _in_force(self, model: str, dialect: str, key_id: str, now: float) -> Sequence[Verdict]:
        """Returns the verdicts that apply to a key, in the order in which they do."""
        # What was learned here is newer than what the store said, and below the operator's word.
        stored = {key: one for key, one in self._stored.items() if one.source == "learned"}
        learned = {**stored, **self._own}
        return [
            *(
                verdict
                for verdict in learned.values()
                if _concerns(verdict, model, dialect) and _holds_for(verdict, key_id, now)
            ),
            *(
                verdict
                for verdict in self._stored.values()
                if verdict.source == "operator" and _concerns(verdict, model, dialect)
            ),
        ]


def _concerns(verdict: Verdict, model: str, dialect: str) -> bool:
    return verdict.model in (model, ANY) and verdict.dialect in (dialect, ANY)


def is_common(verdict: Verdict) -> bool:
    """Tells whether it counts for everybody."""
    return verdict.source == "operator" or len(verdict.witnesses) >= ENOUGH


def _holds_for(verdict: Verdict, key_id: str, now: float) -> bool:
    """Tells whether a learned verdict counts for a key."""
    if verdict.allowed:
        return False  # withdrawn
    if is_common(verdict):
        return True
    return (
        key_id in verdict.witnesses and verdict.expires_at is not None and now < verdict.expires_at
    )
