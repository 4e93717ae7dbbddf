"""Orders the targets of a request, and learns from their failures for the next.

Targets of one provider and one Bedrock model share a quota, and breakers: a failure of one moves a
request on to another provider or model, never to another dialect of the same. The exception is an
endpoint that is missing: there the provider may speak another dialect, and that is remembered.
Only before the first byte: `Attempts` (attempts.py) end with the first event or the whole answer.
A route with one provider and model pays for nothing of this and keeps the upstream's own retries.
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
from ...store.base.callers import Caller
from ..exchange import Exchange
from .breakers import TargetBreakers
from .conversations import Conversations, fingerprint
from .targets import THROTTLING, QuotaId, has_several, identity, quota_of

_MISSING_SECONDS: Final = 600.0
_MAX_REMEMBERED: Final = 1024


class FailoverOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Deadlines of a target while there is another one, and its breakers. Seconds."""

    first_byte_seconds: float = 20.0
    answer_seconds: float = 120.0  # the same for whole answers
    failures: int = 3
    cooldown_seconds: float = 30.0
    sticky_seconds: float = 3600.0


class Failover:
    """The knowledge that this worker has of its targets.

    `all_breakers` are those of targets that were called at all.
    """

    def __init__(
        self,
        options: FailoverOptions | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options or FailoverOptions()
        self.all_breakers: dict[QuotaId, TargetBreakers] = {}
        self.conversations = Conversations(self.options.sticky_seconds)
        self.monotonic = monotonic
        # A target -> when to ask it again.
        self._missing: Bounded[tuple[str, str, str], float] = Bounded(_MAX_REMEMBERED)

    def order(self, route: Route, exchange: Exchange, request: MessagesRequest) -> Sequence[Target]:
        """Returns the targets to try, best first, whatever their breakers say."""
        targets: Sequence[Target] = route.targets
        if self._missing:
            targets = [target for target in targets if not self._is_missing(target)] or targets
        if len(self.conversations) and has_several(targets):
            conversation = fingerprint(exchange.key_id, request)
            quota = self.conversations.quota(conversation, self.monotonic())
            if quota is not None:
                targets = sorted(targets, key=lambda target: quota_of(target) != quota)
        return targets

    def breakers(self, target: Target) -> TargetBreakers:
        """Returns the breakers of a target."""
        quota = quota_of(target)
        breakers = self.all_breakers.get(quota)
        if breakers is None:
            if len(self.all_breakers) >= _MAX_REMEMBERED:  # ARNs are the clients' words
                self._forget_breakers()
            breakers = self.all_breakers[quota] = TargetBreakers(
                failures=self.options.failures, cooldown_seconds=self.options.cooldown_seconds
            )
        return breakers

    def remember_missing(self, target: Target) -> None:
        """Remembers that the endpoint of a target's dialect does not exist there."""
        self._missing[identity(target)] = self.monotonic() + _MISSING_SECONDS

    def cooling(self, targets: Sequence[Target], key_id: str) -> ProxyError:
        """Returns the error for a request whose targets are all cooling."""
        now = self.monotonic()
        all_breakers = [self.breakers(target) for target in targets]
        seconds = max(
            1, math.ceil(min(breakers.wait_seconds(key_id, now) for breakers in all_breakers))
        )
        throttled = all(breakers.cause(key_id) == THROTTLING for breakers in all_breakers)
        message = (
            f"Every provider that serves this model is left alone after "
            f"{'throttling' if throttled else 'failures'}; the next is tried in {seconds} s."
        )
        error = RateLimitError if throttled else OverloadedError
        return error(message, retry_after=seconds, cause="cooling")

    def _is_missing(self, target: Target) -> bool:
        until = self._missing.get(identity(target))
        if until is None:
            return False
        if self.monotonic() < until:
            return True
        del self._missing[identity(target)]
        return False

    def _forget_breakers(self) -> None:
        """Forgets breakers in no trouble, whatever their age (so not `Bounded`); else all."""
        troubled = {
            quota: breakers
            for quota, breakers in self.all_breakers.items()
            if breakers.state != "closed"
        }
        self.all_breakers = troubled if len(troubled) < _MAX_REMEMBERED else {}


def pinned_provider(caller: Caller | None, providers: Container[str]) -> str:
    """Returns the provider that a key is bound to; empty: as routing says.

    Raises `PermissionDeniedError`.
    """
    provider = caller.key.provider if caller is not None else None
    if not provider:
        return ""
    if provider not in providers:
        raise PermissionDeniedError(
            f"This key is bound to the provider {provider}, which the proxy does not have or which "
            "is disabled. Ask the operator.",
            cause="no_provider",
            should_retry=False,
        )
    return provider
