"""The looks at components, as the settings and the parts of a worker describe them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..aws_errors import UpstreamRefusal
from ..config import Settings, SettingsError
from ..health.components import LOOK_SECONDS, NO_ANSWER, Components, Look
from ..health.findings import OK, Finding, Requirements, combined, connection_words
from ..http.health import Health
from ..limits.base import LimiterError
from ..store.base.errors import StoreError
from ..store.base.store import Store
from ..upstream.base import CredentialsState, Upstream
from .sandbox import OnDemandSandbox

if TYPE_CHECKING:
    from ..limits.base import Limiter
    from ..sandbox.wire import ExecutorState

COMPONENTS: Final = ("store", "credentials", "upstream", "limiter", "executor")
# Of one provider, so that a slow one does not keep the others from being told.
_PROVIDER_SECONDS: Final = LOOK_SECONDS - 0.1
_SOON_SECONDS: Final = 120.0  # a source that renews in time never lets so little be left


def make_health(
    settings: Settings,
    *,
    store: Store,
    limiter: Limiter,
    providers: Mapping[str, Upstream],
    sandbox: OnDemandSandbox,
    monotonic: Callable[[], float] = time.monotonic,
) -> tuple[Health, Components]:
    """Makes the pages about a worker, and what is looked at for them, which has to be closed."""
    looks = [
        Look(("store",), lambda: look_at_store(store)),
        Look(
            ("credentials", "upstream"),
            # As they are at the time: those of the store come and go.
            lambda: look_at_providers(dict(providers), now=time.time),
        ),
        Look(("limiter",), lambda: look_at_limiter(limiter)),
    ]
    if sandbox.enabled:
        looks.append(Look(("executor",), lambda: look_at_executors(sandbox.states)))
    components = Components(looks, monotonic=monotonic)
    health = Health(
        environment=settings.server.environment,
        components=components,
        requirements=Requirements(frozenset(settings.server.ready_requires)),
    )
    return health, components


def check_health(settings: Settings) -> None:
    """Raises `SettingsError` for names in READY_REQUIRES that are no components."""
    if odd := [name for name in settings.server.ready_requires if name not in COMPONENTS]:
        raise SettingsError(
            [f"READY_REQUIRES: {odd[0]!r} is none of {', '.join(COMPONENTS)}; separate by commas"]
        )


async def look_at_store(store: Store) -> dict[str, Finding]:
    """Looks whether the store answers."""
    try:
        await store.ping()
    except StoreError as error:
        reason = (
            "it does not answer: known keys are served from memory, usage waits in the journal; "
            "see the log, or run `doctor`"
        )
        return {"store": Finding(state="failed", reason=reason, detail=str(error))}
    return {"store": OK}


async def look_at_limiter(limiter: Limiter) -> dict[str, Finding]:
    """Looks whether limits are counted with the processes that they should be counted with."""
    try:
        await limiter.check()
    except LimiterError as error:
        reason = f"{error}; limits hold for less than they should: see the log"
        return {"limiter": Finding(state="degraded", reason=reason, detail=repr(error.__cause__))}
    return {"limiter": OK}


async def look_at_executors(
    states: Callable[[], Mapping[str, ExecutorState | None]],
) -> dict[str, Finding]:
    """Tells what is known of executors; starts none."""
    findings = [_executor(url, state) for url, state in states().items()]
    found = combined(findings)
    if found.state == "failed":  # only code cannot be run: everything else is served
        found = Finding(state="degraded", reason=found.reason, detail=found.detail)
    return {"executor": found}


def _executor(url: str, state: ExecutorState | None) -> Finding:
    if state is None:
        return Finding(state="unknown", reason="it has not been asked yet")
    if state.status == "ready":
        return OK
    if state.status == "idle":
        return Finding(
            state="idle", reason="it starts when code is first run: `sandbox check` tries"
        )
    if state.status == "preparing":
        return Finding(state="degraded", reason="it is being prepared", detail=url)
    reason = "code cannot be run: see /health/ptc, or run `sandbox check`"
    return Finding(state="failed", reason=reason, detail=f"{url}: {state.reason}")


async def look_at_providers(
    providers: Mapping[str, Upstream], *, now: Callable[[], float]
) -> dict[str, Finding]:
    """Looks at the credentials and the endpoint of each provider.

    Both are failed if no provider can serve, whichever of the two each one lacks.
    """
    pairs = await asyncio.gather(*(_provider(name, one, now) for name, one in providers.items()))
    found = {
        "credentials": combined(credentials for credentials, _ in pairs),
        "upstream": combined(endpoint for _, endpoint in pairs),
    }
    if any("failed" not in {one.state for one in pair} for pair in pairs):
        return found
    return {
        name: Finding(state="failed", reason=one.reason, detail=one.detail)
        if one.state == "degraded"
        else one
        for name, one in found.items()
    }


async def _provider(
    name: str, upstream: Upstream, now: Callable[[], float]
) -> tuple[Finding, Finding]:
    credentials, endpoint = await asyncio.gather(
        _within(name, "credentials", _credentials(upstream, now)),
        _within(name, "endpoint", _endpoint(upstream)),
    )
    return credentials, endpoint


async def _within(name: str, what: str, work: Coroutine[Any, Any, Finding]) -> Finding:
    try:
        async with asyncio.timeout(_PROVIDER_SECONDS):
            found = await work
    except TimeoutError:
        found = NO_ANSWER
    if found.state == "ok":
        return found
    detail = f"{what} of {name}: {found.detail or found.reason}"
    return Finding(state=found.state, reason=found.reason, detail=detail)


async def _endpoint(upstream: Upstream) -> Finding:
    try:
        await upstream.reach()
    except UpstreamRefusal as error:
        return Finding(
            state="failed",
            reason=f"Amazon Bedrock cannot be reached: {connection_words(error)}; run `doctor`",
            detail=error.message,
        )
    return OK


async def _credentials(upstream: Upstream, now: Callable[[], float]) -> Finding:
    try:
        state = await upstream.look_at_credentials()
    except UpstreamRefusal as error:
        reason = "no AWS credentials could be obtained: see the log, or run `doctor`"
        return Finding(state="failed", reason=reason, detail=error.message)
    return judged(state, now())


def judged(credentials: CredentialsState, now: float) -> Finding:
    """Judges credentials at a moment in epoch seconds."""
    expires_at = credentials.expires_at
    if expires_at is not None and expires_at <= now:
        return Finding(state="failed", reason="the AWS credentials have expired: give new ones")
    if credentials.refused:
        return Finding(
            state="degraded", reason="AWS refused these credentials at the last call: run `doctor`"
        )
    if expires_at is not None and expires_at - now < _SOON_SECONDS:
        left = max(0, round(expires_at - now))
        reason = f"the AWS credentials expire in {left} s and have not been renewed"
        return Finding(state="degraded", reason=reason)
    return OK
