"""The components of a process, looked at when somebody asks, by one look at a time.

Theory of operation:
- Nothing is looked at by itself. Who asks and finds what is known older than `KEPT_SECONDS` begins
  a look at all components at once, and waits for it, but not longer than `WAIT_SECONDS`.
- Who asks while a look is under way gets what is known, with its age. Only while nothing is known
  yet does everybody wait for the first look, as long.
- Each look has its own deadline, `LOOK_SECONDS`: a component that hangs is failed then, and keeps
  no other one from being told.

Example, with a store that hangs from 10.0 on:

    at    asked     answer
    9.0   /ready    store ok, 0.0 s old                      (a look: 10 ms)
    11.5  /ready    store ok, 3.3 s old; all others 0.8 s    (a look; after 0.8 s, what is known)
    11.9  /ready    the same, without waiting                (the look is under way)
    13.5            the store's look ends: "no answer in 2 s", one line in the log
    13.6  /ready    store failed, 0.1 s old
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import msgspec

from ..redaction import hide_keys, redact
from .findings import NO_FAULT, ComponentState, Finding

KEPT_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 2.0
WAIT_SECONDS: Final = 0.8  # the probes of Kubernetes give up after 1 s unless told otherwise
NO_ANSWER: Final = Finding(state="failed", reason=f"no answer in {LOOK_SECONDS:g} s")
_UNTOLD: Final = (*NO_FAULT, "unknown")  # states between which the log tells of no change
_log = logging.getLogger("anthropic_bedrock_proxy.health")


class Look(msgspec.Struct, frozen=True):
    """A way to look at components that are seen together; `run` returns a finding for each."""

    names: Sequence[str]
    run: Callable[[], Awaitable[Mapping[str, Finding]]]


class _Seen(msgspec.Struct):
    finding: Finding
    at: float
    once_ok: bool


class Components:
    """The components of a process, and what is known of each."""

    def __init__(
        self,
        looks: Sequence[Look],
        *,
        monotonic: Callable[[], float] = time.monotonic,
        look_seconds: float = LOOK_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        """The two times are for tests: the deadline of a look, and what who asks waits for it."""
        self._looks = looks
        self._names = [name for look in looks for name in look.names]
        self._monotonic = monotonic
        self._look_seconds = look_seconds
        self._wait_seconds = wait_seconds
        self._seen: dict[str, _Seen] = {}
        self._task: asyncio.Task[None] | None = None
        self._looked_at: float | None = None

    def known(self) -> dict[str, ComponentState]:
        """Returns what is known, at once."""
        now = self._monotonic()
        return {name: _state(self._seen.get(name), now) for name in self._names}

    async def current(self) -> dict[str, ComponentState]:
        """Returns what is known after a look, if one was due and has ended in time."""
        begun = self.refresh()
        if self._task is not None and (begun or len(self._seen) < len(self._names)):
            await asyncio.wait((self._task,), timeout=self._wait_seconds)
        return self.known()

    def refresh(self) -> bool:
        """Begins a look if one is due; returns whether it did. Never waits."""
        now = self._monotonic()
        if self._task is not None:
            return False
        if self._looked_at is not None and now - self._looked_at < KEPT_SECONDS:
            return False
        self._task = asyncio.create_task(self._look_at_all())
        return True

    async def close(self) -> None:
        """Gives up a look that is under way."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _look_at_all(self) -> None:
        try:
            await asyncio.gather(*(self._look(look) for look in self._looks))
        finally:
            self._looked_at = self._monotonic()
            self._task = None

    async def _look(self, look: Look) -> None:
        try:
            async with asyncio.timeout(self._look_seconds):
                found = dict(await look.run())
        except TimeoutError:
            found = dict.fromkeys(look.names, NO_ANSWER)
        except Exception as error:  # noqa: BLE001  # a fault of a look is told as one of its component
            failed = Finding(state="failed", reason="no look: see the log", detail=repr(error))
            found = dict.fromkeys(look.names, failed)
        for name in look.names:
            self._note(name, found[name])

    def _note(self, name: str, finding: Finding) -> None:
        before = self._seen.get(name)
        once_ok = (before is not None and before.once_ok) or finding.state in ("ok", "degraded")
        self._seen[name] = _Seen(finding, self._monotonic(), once_ok)
        was = "ok" if before is None else before.finding.state
        if finding.state != was and not (finding.state in _UNTOLD and was in _UNTOLD):
            _tell(name, finding)


def _state(seen: _Seen | None, now: float) -> ComponentState:
    if seen is None:
        return ComponentState(state="unknown", reason="nobody has looked yet")
    return ComponentState(
        state=seen.finding.state,
        age_seconds=round(now - seen.at, 3),
        reason=seen.finding.reason,
        once_ok=seen.once_ok,
    )


def _tell(name: str, finding: Finding) -> None:
    """Logs a change of state."""
    if finding.state in NO_FAULT:
        _log.info("health: %s is %s again", name, finding.state)
        return
    level = logging.ERROR if finding.state == "failed" else logging.WARNING
    detail = f" ({hide_keys(redact(finding.detail))})" if finding.detail else ""
    _log.log(level, "health: %s is %s: %s%s", name, finding.state, finding.reason, detail)
