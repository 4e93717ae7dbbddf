"""The overrides that are in force: those of the store, and what this process has learned since.

An override of the operator counts for everybody, and stands over what was learned. One that was
learned counts for the key that met it, and for everybody once two keys have. It lapses: then one
request a minute sees it as gone, to try whether it still holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Final, Literal

import msgspec

from ...bounded import Bounded
from ...models.registry import Target
from ...models.table import Capabilities
from ...store.base.catalog import ANY, CapabilityOverride

PROBE_SECONDS: Final = 60.0
ENOUGH: Final = 2  # keys that have to meet a refusal before it counts for all
_MAX_REMEMBERED: Final = 1024

Key = tuple[str, str, str, str]
Name = tuple[str, str, str]  # model, dialect, id of the key


Kind = Literal["beta", "field", "tier"]


class Lesson(msgspec.Struct, frozen=True):
    """One thing that a refusal seems to be about."""

    kind: Kind
    name: str  # a flag, a dotted path with * for numbers, or a tier
    words: str  # of Bedrock's, with nothing of the client's
    guessed: bool = False  # nobody named it


class OverrideView(msgspec.Struct, frozen=True, eq=False):
    """The knowledge of one model on one dialect, as one request sees it."""

    refused: Mapping[str, frozenset[str]]  # by kind
    allowed: frozenset[str]  # flags
    lapses_at: float = inf
    lessons: tuple[Lesson, ...] = ()  # of this request
    probed: CapabilityOverride | None = None  # left out of account to see whether it still holds

    def capabilities(self, capabilities: Capabilities) -> Capabilities:
        """Returns the table's capabilities, corrected by what is known."""
        flags = self.refused["beta"]
        return msgspec.structs.replace(
            capabilities,
            betas=(capabilities.betas | self.allowed) - flags,
            on_use=capabilities.on_use - flags,
        )


def capabilities_of(target: Target, view: OverrideView | None) -> Capabilities:
    """Returns what the target's model takes, as far as is known."""
    return target.capabilities if view is None else view.capabilities(target.capabilities)


class KnownOverrides:
    """Overrides by model and dialect; without any, nothing is looked up. Times: epoch seconds."""

    def __init__(self) -> None:
        # What the store does not hold yet, be it down for long; they win.
        self._own: Bounded[Key, CapabilityOverride] = Bounded(_MAX_REMEMBERED)
        self._stored: dict[Key, CapabilityOverride] = {}
        self._taught: set[str] = set()  # keys that something counts for, maybe alone
        self._views: Bounded[Name, OverrideView | None] = Bounded(_MAX_REMEMBERED)
        self._probed_at: dict[Key, float] = {}
        self.any = False  # for every request: whether there is anything to look up

    def get(self, key: Key) -> CapabilityOverride | None:
        """Returns the newest override that is known."""
        return self._own.get(key) or self._stored.get(key)

    def replace_stored(self, overrides: Iterable[CapabilityOverride]) -> None:
        """Takes over what the store holds."""
        self._stored = {override.key: override for override in overrides}
        for key in self._probed_at.keys() - self._stored.keys() - self._own.keys():
            del self._probed_at[key]
        self._changed()

    def put(self, override: CapabilityOverride) -> None:
        """Adds or replaces one that the store does not hold yet."""
        self._own[override.key] = override
        self._probed_at.pop(override.key, None)
        self._changed()

    def release(self, override: CapabilityOverride) -> None:
        """Drops an override that the store holds now: who removes it there is obeyed here."""
        if self._own.get(override.key) is override:
            del self._own[override.key]
            self._changed()

    def view(self, model: str, dialect: str, key_id: str, now: float) -> OverrideView | None:
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
            override.source == "operator"
            and (override.kind, override.name) == (kind, name)
            and _concerns(override, model, dialect)
            for override in self._stored.values()
        )

    def judge(
        self,
        name: Name,
        now: float,
        lessons: tuple[Lesson, ...] = (),
        probing: CapabilityOverride | None = None,
    ) -> OverrideView | None:
        """Applies all that concerns a key; later overrides beat earlier ones, lessons them all."""
        overrides = self._in_force(*name, now)
        if not overrides and not lessons:
            return None
        refused: dict[str, set[str]] = {"beta": set(), "field": set(), "tier": set()}
        allowed: set[str] = set()
        lapses_at = inf
        for override in overrides:
            lapses_at = min(lapses_at, self._due_at(override))
            if not override.allowed:
                if override is not probing:
                    refused[override.kind].add(override.name)
                continue
            refused[override.kind].discard(override.name)
            if override.kind == "beta":
                allowed.add(override.name)
        for lesson in lessons:
            refused[lesson.kind].add(lesson.name)
        return OverrideView(
            {kind: frozenset(names) for kind, names in refused.items()},
            frozenset(allowed),
            lapses_at,
            lessons,
            probing,
        )

    def _look(self, name: Name, now: float) -> OverrideView | None:
        self._views[name] = view = self.judge(name, now)
        return view

    def _changed(self) -> None:
        self.any = bool(self._own or self._stored)
        self._views.clear()
        self._taught = {
            key_id
            for overrides in (self._stored, self._own)
            for override in overrides.values()
            for key_id in override.witnesses
        }

    def _due(self, name: Name, now: float) -> CapabilityOverride | None:
        """Returns a lapsed override, if it is time to try its subject; counts that as tried."""
        for override in self._in_force(*name, now):
            if self._due_at(override) <= now:
                self._probed_at[override.key] = now
                return override
        return None

    def _due_at(self, override: CapabilityOverride) -> float:
        """Returns the moment when somebody has to look at it again."""
        if override.expires_at is None:
            return inf
        probed_at = self._probed_at.get(override.key, -inf)
        return max(override.expires_at, probed_at + PROBE_SECONDS)

    def _in_force(
        self, model: str, dialect: str, key_id: str, now: float
    ) -> Sequence[CapabilityOverride]:
        """Returns the overrides that apply to a key, in the order in which they do."""
        # What was learned here is newer than what the store said, and below the operator's word.
        stored = {key: one for key, one in self._stored.items() if one.source == "learned"}
        learned = {**stored, **self._own}
        return [
            *(
                override
                for override in learned.values()
                if _concerns(override, model, dialect) and _holds_for(override, key_id, now)
            ),
            *(
                override
                for override in self._stored.values()
                if override.source == "operator" and _concerns(override, model, dialect)
            ),
        ]


def _concerns(override: CapabilityOverride, model: str, dialect: str) -> bool:
    return override.model in (model, ANY) and override.dialect in (dialect, ANY)


def is_common(override: CapabilityOverride) -> bool:
    """Tells whether it counts for everybody."""
    return override.source == "operator" or len(override.witnesses) >= ENOUGH


def _holds_for(override: CapabilityOverride, key_id: str, now: float) -> bool:
    """Tells whether a learned override counts for a key."""
    if override.allowed:
        return False  # withdrawn
    if is_common(override):
        return True
    return (
        key_id in override.witnesses
        and override.expires_at is not None
        and now < override.expires_at
    )
