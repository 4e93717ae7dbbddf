"""Orders the targets of a request, and learns from their failures for the next.

Targets of one place and one Bedrock model share a quota, and breakers: a failure of one moves a
request on to another place or model, never to another dialect of the same. The exception is an
endpoint that is missing: there the place may speak another dialect, and that is remembered.
Only before the first byte: a `Course` ends with the first event or the whole answer.
A route with one place and model pays for nothing of this and keeps the upstream's own retries.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container, Sequence
from typing import Final

import msgspec

from ...bounded import Bounded
from ...errors import OverloadedError, PermissionDeniedError, ProxyError, RateLimitError
from ...models.registry import Route, Target
from ...protocol.request.messages import MessagesRequest
from ...store.records import Caller
from ..exchange import Exchange
from .attempts import Course
from .breakers import Guard
from .conversations import Conversations, fingerprint
from .targets import THROTTLING, Home, has_several, home_of, identity

TARGET_HEADER: Final = b"x-bedrock-target"
_MISSING_SECONDS: Final = 600.0
_MAX_REMEMBERED: Final = 1024


class FailoverOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Patience with a target while there is another one. Seconds."""

    first_byte_seconds: float = 20.0
    answer_seconds: float = 120.0  # the same for whole answers
    failures: int = 3
    cooldown_seconds: float = 30.0
    sticky_seconds: float = 3600.0


class Failover:
    """The knowledge that this worker has of its targets.

    `switches` counts by (from, to); `guards` are those of targets that were called at all.
    """

    def __init__(
        self,
        options: FailoverOptions | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options or FailoverOptions()
        self.switches: dict[tuple[str, str], int] = {}
        self.guards: dict[Home, Guard] = {}
        self.conversations = Conversations(self.options.sticky_seconds)
        self.monotonic = monotonic
        # A target -> when to ask it again.
        self._missing: Bounded[tuple[str, str, str], float] = Bounded(_MAX_REMEMBERED)

    def course(self, route: Route, exchange: Exchange, request: MessagesRequest) -> Course:
        """Begins one request's way through the targets of its route.

        Raises `RateLimitError` or `OverloadedError` when every target is cooling.
        """
        return Course(self, route, exchange, request)

    def order(self, route: Route, exchange: Exchange, request: MessagesRequest) -> Sequence[Target]:
        """Returns the targets to try, best first, whatever their breakers say."""
        targets: Sequence[Target] = route.targets
        if self._missing:
            targets = [target for target in targets if not self._is_missing(target)] or targets
        if len(self.conversations) and has_several(targets):
            conversation = fingerprint(exchange.key_id, request)
            home = self.conversations.home(conversation, self.monotonic())
            if home is not None:
                targets = sorted(targets, key=lambda target: home_of(target) != home)
        return targets

    def guard(self, target: Target) -> Guard:
        """Returns the breakers of a target."""
        home = home_of(target)
        guard = self.guards.get(home)
        if guard is None:
            if len(self.guards) >= _MAX_REMEMBERED:  # ARNs are the clients' words
                self._forget_guards()
            guard = self.guards[home] = Guard(
                failures=self.options.failures, cooldown_seconds=self.options.cooldown_seconds
            )
        return guard

    def remember_missing(self, target: Target) -> None:
        """Remembers that the endpoint of a target's dialect does not exist there."""
        self._missing[identity(target)] = self.monotonic() + _MISSING_SECONDS

    def cooling(self, targets: Sequence[Target], key_id: str) -> ProxyError:
        """Returns the error for a request whose targets are all cooling."""
        now = self.monotonic()
        guards = [self.guard(target) for target in targets]
        seconds = max(1, math.ceil(min(guard.wait_seconds(key_id, now) for guard in guards)))
        throttled = all(guard.cause(key_id) == THROTTLING for guard in guards)
        message = (
            f"Every place that serves this model is left alone after "
            f"{'throttling' if throttled else 'failures'}; the next is tried in {seconds} s."
        )
        error = RateLimitError if throttled else OverloadedError
        return error(message, retry_after=seconds)

    def _is_missing(self, target: Target) -> bool:
        until = self._missing.get(identity(target))
        if until is None:
            return False
        if self.monotonic() < until:
            return True
        del self._missing[identity(target)]
        return False

    def _forget_guards(self) -> None:
        troubled = {home: guard for home, guard in self.guards.items() if guard.state != "closed"}
        self.guards = troubled if len(troubled) < _MAX_REMEMBERED else {}


def pinned_place(caller: Caller | None, places: Container[str]) -> str:
    """Returns the place that a key is bound to; empty: as routing says.

    Raises `PermissionDeniedError`.
    """
    place = caller.key.provider if caller is not None else None
    if not place:
        return ""
    if place not in places:
        raise PermissionDeniedError(
            f"This key is bound to the provider {place}, which the proxy does not have or which is "
            "disabled. Ask the operator.",
            should_retry=False,
        )
    return place
