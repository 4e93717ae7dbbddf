"""Findings of looks at components, and what follows from all of them. Pure.

Whoever asks may be anybody: a `reason` has general words and the mend, and names no host, account
or provider. `detail` is for the log.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, Literal

import msgspec

# `idle` is what begins when it is first needed: nobody knows yet whether it can.
State = Literal["ok", "idle", "degraded", "failed", "unknown"]
NO_FAULT: Final = ("ok", "idle")
DRAINING: Final = "draining"
# Needed until it has answered once: later, known keys go on being served while it is away.
NEEDED_ONCE: Final = "store"
_REFUSED: Final = f"[Errno {errno.ECONNREFUSED}]"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one look at one component."""

    state: State
    reason: str = ""
    detail: str = ""


OK: Final = Finding(state="ok")


class ComponentState(msgspec.Struct, frozen=True, kw_only=True):
    """A component as it was last seen; `age_seconds` is None if nobody has looked yet."""

    state: State
    age_seconds: float | None = None
    reason: str = ""
    once_ok: bool = False


class Requirements(msgspec.Struct, frozen=True):
    """The components without which a process is not ready."""

    required: Collection[str] = ("credentials", "upstream")

    def missing(self, components: Mapping[str, ComponentState]) -> list[str]:
        """Lists what keeps the process from being ready.

        Not seen yet counts as missing: a process that has never reached what it needs serves
        nobody.
        """
        return [
            name
            for name, seen in components.items()
            if seen.state in ("failed", "unknown")
            and (name in self.required or (name == NEEDED_ONCE and not seen.once_ok))
        ]

    def status(self, components: Mapping[str, ComponentState]) -> str:
        """Returns `healthy`, `degraded` or `unhealthy`; what nobody has looked at is no fault."""
        known = {name: seen for name, seen in components.items() if seen.state != "unknown"}
        if self.missing(known):
            return "unhealthy"
        well = all(seen.state in NO_FAULT for seen in known.values())
        return "healthy" if well else "degraded"


def combined(findings: Iterable[Finding]) -> Finding:
    """Returns one finding for several of a kind (providers, executors): failed if all have."""
    every = list(findings)
    bad = [one for one in every if one.state not in NO_FAULT]
    if not bad:
        return next((one for one in every if one.state != "ok"), OK)
    if all(one.state == "unknown" for one in bad):
        return bad[0]
    first = next((one for one in bad if one.state == "failed"), bad[0])
    all_failed = all(one.state == "failed" for one in every)
    return Finding(
        state="failed" if all_failed else "degraded",
        reason=first.reason if len(every) == 1 else f"{len(bad)} of {len(every)}: {first.reason}",
        detail="; ".join(one.detail for one in bad if one.detail),
    )


def connection_words(error: BaseException) -> str:
    """Says in general words why a connection failed, from the causes of `error`.

    >>> connection_words(ConnectionRefusedError())
    'connection refused'
    """
    for cause in _causes(error):
        # Of several addresses, asyncio tells the failures as a text.
        if isinstance(cause, ConnectionRefusedError) or _REFUSED in str(cause):
            return "connection refused"
        if isinstance(cause, socket.gaierror):
            return "its name cannot be resolved"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not trusted"
        if isinstance(cause, ssl.SSLError):
            return "TLS failed"
        if isinstance(cause, TimeoutError):
            return "no answer in time"
        if isinstance(cause, ConnectionError):
            return "the connection was cut"
    return "it cannot be reached"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
