"""Overrides on what Bedrock refuses although models.toml allows it: learned, or the operator's.

A model may lose or lack a beta flag, a field or a service tier before any table says so. The
refusal names it (`context_management: Extra inputs are not permitted`, `invalid beta flag`): it is
left out, and the request is tried once more. Where the proxy can do itself what a flag was for, it
does. Rules of what that means for others:
- A lesson counts only if the request succeeded without.
- It counts for the key that met it, and for everybody once two keys have.
- It lapses after a day. One request a minute then tries again with what was left out: if Bedrock
  takes it, the override is withdrawn, else it holds for another day.
- The operator's word stands over all of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from ...aws_errors import UpstreamRefusal, rule_for
from ...errors import InvalidRequestError
from ...models.geography import base_model_id
from ...models.registry import Target
from ...redaction import redact
from ...store.base.catalog import CapabilityOverride
from ...upstream.base import ModelCall
from ..conversion import ConversionOptions
from .known import ENOUGH, KnownOverrides, Lesson, OverrideView, is_common
from .raw_paths import strip

_log = logging.getLogger("anthropic_bedrock_proxy.overrides")
KEEP_SECONDS: Final = 86_400  # a lesson
_MOST_LESSONS: Final = 12  # of one request


class Overrides:
    """Learns overrides, and knows which hold for a request."""

    def __init__(
        self,
        needed_for: Mapping[str, str],
        *,
        learned: Callable[[CapabilityOverride], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`needed_for` is the table of flags by feature; `learned` hears of each new override.

        `now` is the epoch, in seconds.
        """
        self._needed_for = needed_for
        self._tell = learned
        self._now = now
        self._known = KnownOverrides()

    def replace_stored(self, overrides: Iterable[CapabilityOverride]) -> None:
        """Takes over what the store holds."""
        self._known.replace_stored(overrides)

    def release(self, override: CapabilityOverride) -> None:
        """Drops an override that the store holds now: who removes it there is obeyed here."""
        self._known.release(override)

    def view(self, target: Target, key_id: str) -> OverrideView | None:
        """Returns what is known for a request of a key; None: nothing."""
        if not self._known.any:
            return None
        model = base_model_id(target.bedrock_model_id)
        return self._known.view(model, target.dialect, key_id, self._now())

    def learn(
        self,
        target: Target,
        options: ConversionOptions,
        call: ModelCall,
        refusal: UpstreamRefusal,
        *,
        view: OverrideView | None,
    ) -> OverrideView | None:
        """Returns a view to convert with once more after the refusal of `call`; None: as before.

        There is one after a lesson, and after a lesson of another request that came meanwhile.
        Whoever asks sees whether it makes another call.
        """
        lessons = () if view is None else view.lessons
        if rule_for(refusal).error is not InvalidRequestError or len(lessons) >= _MOST_LESSONS:
            return None
        from .refusals import read_refusal  # noqa: PLC0415  # a start need not wait for its patterns

        model, dialect = base_model_id(target.bedrock_model_id), target.dialect
        met = {(lesson.kind, lesson.name) for lesson in lessons}
        for lesson in read_refusal(refusal.message, call, options.policy, self._needed_for):
            what = (lesson.kind, lesson.name)
            if what not in met and not self._known.is_settled(model, dialect, *what):
                lessons = (*lessons, lesson)
        if not lessons and not self._known.any:
            return None
        return self._known.judge((model, dialect, options.key_id), self._now(), lessons)

    def confirm(
        self, target: Target, options: ConversionOptions, call: ModelCall, view: OverrideView
    ) -> None:
        """Draws the lessons that hold, now that `call`, made with `view`, was answered."""
        probed = view.probed
        if probed is not None and _is_in(call, probed, options):
            withdrawn = msgspec.structs.replace(
                probed, allowed=True, updated_at=int(self._now()), witnesses=(), expires_at=None
            )
            self._put(withdrawn)
            _log.info(
                "%s on %s takes the %s %s again",
                *(probed.model, probed.dialect, probed.kind, probed.name),
            )
        guesses = [lesson for lesson in view.lessons if lesson.guessed]
        for lesson in view.lessons:
            # Of guesses it was the last one that helped; of the others nobody knows.
            if not lesson.guessed or lesson is guesses[-1]:
                self._witness(target, lesson, options.key_id)

    def _witness(self, target: Target, lesson: Lesson, key_id: str) -> None:
        model, dialect, now = base_model_id(target.bedrock_model_id), target.dialect, self._now()
        key = (model, dialect, lesson.kind, lesson.name)
        known = self._known.get(key)
        witnesses: tuple[str, ...] = (key_id,)
        before = 0
        if known is not None and not known.allowed:
            before = known.confirmations
            if is_common(known) or known.expires_at is None or now < known.expires_at:
                witnesses = tuple(dict.fromkeys((*known.witnesses, key_id)))[:ENOUGH]
        override = CapabilityOverride(
            model=model,
            dialect=dialect,
            kind=lesson.kind,
            name=lesson.name,
            allowed=False,
            source="learned",
            reason=f"refused by Bedrock: {redact(lesson.words)}",
            updated_at=int(now),
            learned_at=known.learned_at if known is not None and before else int(now),
            confirmations=before + 1,
            witnesses=witnesses,
            expires_at=int(now) + KEEP_SECONDS,
        )
        self._put(override)
        _log.warning(
            "%s on %s does not take the %s %s: left out from now on for %s",
            *(model, dialect, lesson.kind, lesson.name),
            "everybody" if is_common(override) else f"the key {key_id}",
        )

    def _put(self, override: CapabilityOverride) -> None:
        self._known.put(override)
        self._tell(override)


def _is_in(call: ModelCall, override: CapabilityOverride, options: ConversionOptions) -> bool:
    """Tells whether a call has in it what the override is about."""
    if override.kind == "field":
        return bool(strip(call.body, (override.name,))[1])
    if override.kind == "beta":
        from .refusals import sent_flags  # noqa: PLC0415  # as above

        return override.name in sent_flags(call)
    return options.policy.service_tier == override.name
