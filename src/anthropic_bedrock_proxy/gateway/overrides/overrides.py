"""Verdicts on what Bedrock refuses although models.toml allows it: learned, or the operator's.

A model may lose or lack a beta flag, a field or a service tier before any table says so. The
refusal names it (`context_management: Extra inputs are not permitted`, `invalid beta flag`): it is
left out, and the request is tried once more. Where the proxy can do itself what a flag was for, it
does. Rules of what that means for others:
- A lesson counts only if the request succeeded without.
- It counts for the key that met it, and for everybody once two keys have.
- It lapses after a day. One request a minute then tries again with what was left out: if Bedrock
  takes it, the verdict is withdrawn, else it holds for another day.
- The operator's word stands over all of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from ...errors import InvalidRequestError, UpstreamRefusal, redact, rule_for
from ...models.registry import Target, base_model_id
from ...protocol.request.messages import MessagesRequest
from ...upstream.base import Call
from ..conversion import Conversion, Wanted, convert
from .known import ENOUGH, Known, Verdict, View, is_common
from .raw_paths import strip
from .refusals import Lesson, read_refusal, sent_flags

_log = logging.getLogger("anthropic_bedrock_proxy.verdicts")
KEEP_SECONDS: Final = 86_400  # a lesson
_MOST_LESSONS: Final = 12  # of one request


class Verdicts:
    """Learns verdicts, and converts by them."""

    def __init__(
        self,
        needed_for: Mapping[str, str],
        *,
        learned: Callable[[Verdict], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """`needed_for` is the table of flags by feature; `learned` hears of each new verdict.

        `now` is the epoch, in seconds.
        """
        self._needed_for = needed_for
        self._tell = learned
        self._now = now
        self._known = Known()

    def replace_stored(self, verdicts: Iterable[Verdict]) -> None:
        """Takes over what the store holds."""
        self._known.replace_stored(verdicts)

    def release(self, verdict: Verdict) -> None:
        """Drops a verdict that the store holds now: who removes it there is obeyed here."""
        self._known.release(verdict)

    def view(self, target: Target, key_id: str) -> View | None:
        """Returns what is known for a request of a key; None: nothing."""
        if not self._known.any:
            return None
        model = base_model_id(target.bedrock_model_id)
        return self._known.view(model, target.dialect, key_id, self._now())

    def convert(
        self, request: MessagesRequest, target: Target, wanted: Wanted, view: View | None
    ) -> Conversion:
        """Converts for a target with what is known of it. Raises `InvalidRequestError`."""
        if view is None:
            return convert(request, target, wanted)
        if wanted.terms.service_tier in view.refused["tier"]:
            terms = msgspec.structs.replace(wanted.terms, service_tier="default")
            wanted = msgspec.structs.replace(wanted, terms=terms)
        changed = view.capabilities(target.capabilities)
        conversion = convert(request, msgspec.structs.replace(target, capabilities=changed), wanted)
        if not view.refused["field"]:
            return conversion
        body, removed = strip(conversion.call.body, sorted(view.refused["field"]))
        if not removed:
            return conversion
        call = msgspec.structs.replace(conversion.call, body=body)
        return msgspec.structs.replace(
            conversion, call=call, dropped=[*conversion.dropped, *removed]
        )

    def learn(
        self,
        request: MessagesRequest,
        target: Target,
        wanted: Wanted,
        call: Call,
        refusal: UpstreamRefusal,
        *,
        view: View | None,
    ) -> View | None:
        """Returns a view to try once more with after a refusal; None: it would be the same again.

        So it is after a lesson, and after one that another request has learned meanwhile.
        """
        lessons = () if view is None else view.lessons
        if rule_for(refusal).error is not InvalidRequestError or len(lessons) >= _MOST_LESSONS:
            return None
        model, dialect = base_model_id(target.bedrock_model_id), target.dialect
        met = {(lesson.kind, lesson.name) for lesson in lessons}
        for lesson in read_refusal(refusal.message, call, wanted.terms, self._needed_for):
            what = (lesson.kind, lesson.name)
            if what not in met and not self._known.is_settled(model, dialect, *what):
                lessons = (*lessons, lesson)
        if not lessons and not self._known.any:
            return None
        taught = self._known.judge((model, dialect, wanted.key_id), self._now(), lessons)
        if taught is None:
            return None
        try:
            again = self.convert(request, target, wanted, taught).call
        except InvalidRequestError:
            return taught  # and the next attempt says what cannot be done without
        return taught if (again.body, again.headers) != (call.body, call.headers) else None

    def confirm(self, target: Target, wanted: Wanted, call: Call, view: View) -> None:
        """Draws the lessons that hold, now that `call`, made with `view`, was answered."""
        probed = view.probed
        if probed is not None and _is_in(call, probed, wanted):
            withdrawn = msgspec.structs.replace(
                probed, allowed=True, updated_at=int(self._now()), witnesses=(), expires_at=None
            )
            self._put(withdrawn)
            _log.warning(
                "%s on %s takes the %s %s again",
                *(probed.model, probed.dialect, probed.kind, probed.name),
            )
        guesses = [lesson for lesson in view.lessons if lesson.guessed]
        for lesson in view.lessons:
            # Of guesses it was the last one that helped; of the others nobody knows.
            if not lesson.guessed or lesson is guesses[-1]:
                self._witness(target, lesson, wanted.key_id)

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
        verdict = Verdict(
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
        self._put(verdict)
        _log.warning(
            "%s on %s does not take the %s %s: left out from now on for %s",
            *(model, dialect, lesson.kind, lesson.name),
            "everybody" if is_common(verdict) else f"the key {key_id}",
        )

    def _put(self, verdict: Verdict) -> None:
        self._known.put(verdict)
        self._tell(verdict)


def _is_in(call: Call, verdict: Verdict, wanted: Wanted) -> bool:
    """Tells whether a call has in it what the verdict is about."""
    if verdict.kind == "field":
        return bool(strip(call.body, (verdict.name,))[1])
    if verdict.kind == "beta":
        return verdict.name in sent_flags(call)
    return wanted.terms.service_tier == verdict.name
