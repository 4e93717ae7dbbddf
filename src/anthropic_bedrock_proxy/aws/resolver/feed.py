"""The keys of one identity, kept fresh. Runs in the child process, each on a thread of its own.

    look up -> tell the subscribers -> pause (see `Pace`) -> look up -> ...

While look-ups fail, subscribers go on with the keys that they have; they are told why, for when
those expire.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from .pace import Pace

_NAP_SECONDS: Final = 10.0  # between looks at the clock; requests are as patient as that


class LookUpError(Exception):
    """There are no credentials; the message is for the log, without secrets or account ids."""


class Keys(NamedTuple):
    """Keys as they travel to the workers."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None
    expires_at: float | None  # epoch seconds


class Subscriber(Protocol):
    """A receiver of an identity's keys."""

    def tell(self, message: dict[str, Any]) -> None:
        """Sends a message; never raises, never waits for long."""
        ...


class Feed:
    """The feed of one identity: looks keys up, tells subscribers, reports how look-ups ended."""

    def __init__(
        self,
        identity: dict[str, Any],
        *,
        look_up: Callable[[dict[str, Any]], Keys],
        report: Callable[[dict[str, Any]], None],
        pace: Pace,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        wake: threading.Event | None = None,
    ) -> None:
        self.began: float | None = None  # start of the look-up under way, monotonic seconds
        self.ended = False
        self._identity = identity
        self._look_up = look_up
        self._report = report
        self._pace = pace
        self._now = now
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._subscribers: dict[Subscriber, int] = {}  # with their ids for this feed
        self._keys: Keys | None = None
        self._failure: str | None = None
        self._failures = 0
        self._hung: str | None = None
        self._asked_at = 0.0
        self._wake = wake or threading.Event()  # AWS refused the keys

    def subscribe(self, subscriber: Subscriber, name: int) -> bool:
        """Tells `subscriber` the present keys and all that follow; False if this feed has ended."""
        with self._lock:
            if not self.ended:
                self._subscribers[subscriber] = name
                if self._keys is not None or self._failure is not None:
                    subscriber.tell(self._message(name))
            return not self.ended

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Ends a subscription."""
        with self._lock:
            self._subscribers.pop(subscriber, None)

    def refuse(self, subscriber: Subscriber, access_key_id: str) -> None:
        """Looks up anew because AWS refused these keys, unless there are others by now."""
        with self._lock:
            if self._keys is None or self._keys.access_key_id == access_key_id:
                self._wake.set()
            elif subscriber in self._subscribers:
                subscriber.tell(self._message(self._subscribers[subscriber]))

    def run(self) -> None:
        """Keeps the keys fresh as long as somebody needs them."""
        while not self._end_if_unneeded():
            if self._refused_within(self.step()):
                # AWS may refuse the same keys by the thousand.
                self._sleep(max(0.0, self._asked_at + self._pace.least - self._monotonic()))

    def _end_if_unneeded(self) -> bool:
        with self._lock:
            self.ended = not self._subscribers
        if self.ended:
            self._report({"event": "ended", "name": self._identity["name"]})
        return self.ended

    def _refused_within(self, pause: float) -> bool:
        """Waits until AWS refuses the keys, or the pause is over.

        Or until the keys would end before the pause does, which they did not when it began: the
        machine has slept, or its clock was set.
        """
        ends = self._monotonic() + pause
        left = self._left()
        was_in_time = left is not None and left > pause
        while (rest := ends - self._monotonic()) > 0:
            if self._wake.wait(min(rest, _NAP_SECONDS)):
                self._wake.clear()
                return True
            left = self._left()
            if was_in_time and left is not None and left < ends - self._monotonic():
                break
        return False

    def step(self) -> float:
        """Looks up once, tells subscribers, and returns the pause before the next time."""
        self.began = self._asked_at = self._monotonic()
        try:
            keys = self._look_up(self._identity)
            self._check(keys)
        except LookUpError as error:
            return self._fail(self._hung or str(error))
        finally:
            self.began = self._hung = None
        return self._succeed(keys)

    def hang(self, reason: str) -> None:
        """Counts the look-up under way as failed; its late failure is not reported again."""
        self._hung = reason
        self._fail(reason)

    def _check(self, keys: Keys) -> None:
        if keys.expires_at is not None and keys.expires_at <= self._now():
            raise LookUpError("the keys that were found have expired")

    def _succeed(self, keys: Keys) -> float:
        with self._lock:
            # Not their end: botocore stretches that of keys from a metadata service that is late.
            same = self._keys is not None and keys[:3] == self._keys[:3]
            self._keys, self._failure = keys, None
            self._failures = 0
            self._tell()
        self._report({"event": "found", "name": self._identity["name"]})
        return self._pace.after_keys(self._left(), same=same)

    def _fail(self, reason: str) -> float:
        with self._lock:
            self._failures += 1
            self._failure = reason
            self._tell()
        self._report({"event": "failed", "name": self._identity["name"], "reason": reason})
        return self._pace.after_failure(self._failures, self._left())

    def _left(self) -> float | None:
        """Returns the rest of the life of the keys in use; None if there are none, or no end."""
        if self._keys is None or self._keys.expires_at is None:
            return None
        return self._keys.expires_at - self._now()

    def _tell(self) -> None:
        for subscriber, name in self._subscribers.items():
            subscriber.tell(self._message(name))

    def _message(self, name: int) -> dict[str, Any]:
        """Makes the message of the present keys, with the failure last seen, if any."""
        keys = None if self._keys is None else self._keys._asdict()
        return {"id": name, "keys": keys, "failure": self._failure}
