"""GET /health/web-search: how searches have gone, from what is known already.

Nothing is searched for it: a search may cost money. No key is needed, so neither addresses nor keys
are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from ..redaction import hide_accounts
from ..search.state import BackendState
from .application import HTTPRoute, Request
from .reply import Reply

_encode = msgspec.json.Encoder().encode
_UNAVAILABLE: Final = 503
_WORDS: Final = {"unknown": "idle", "ok": "healthy", "failed": "unhealthy"}


class SearchHealth:
    """The health of web search, as anybody may see it."""

    def __init__(
        self,
        states: Callable[[], Sequence[BackendState]] | None,
        config: Mapping[str, Any],
        reason: str = "",
    ) -> None:
        """`states` tells what is known of each back end; None: nobody searches.

        `reason` says why, or what is missing for a back end that was named.
        `config` are settings that tell no secret.
        """
        self._states = states
        self._config = dict(config)
        self._reason = reason

    def routes(self) -> Iterable[HTTPRoute]:
        """Returns the route, which needs no key."""
        return (HTTPRoute("/health/web-search", {"GET": self.get, "HEAD": self.get}),)

    async def get(self, _: Request) -> Reply:
        """Tells how web search is; 503 if every back end failed at its last search."""
        if self._states is None:
            body = {"enabled": False, "status": "disabled", "reason": self._reason}
            return Reply(_encode(body | {"config": self._config}))
        backends = [_backend(state) for state in self._states()]
        status = _status([each["status"] for each in backends])
        body = {"enabled": True, "status": status, "reason": self._reason, "config": self._config}
        body["backends"] = backends
        return Reply(_encode(body), status=_UNAVAILABLE if status == "unhealthy" else 200)


def _status(each: Sequence[str]) -> str:
    """Sums up: as well as the back ends are together, for any of them can answer."""
    if "unhealthy" not in each:
        return "healthy" if "healthy" in each else "idle"
    return "unhealthy" if set(each) == {"unhealthy"} else "degraded"


def _backend(state: BackendState) -> dict[str, Any]:
    age = state.age_seconds
    return {
        "name": state.name,
        "status": _WORDS[state.status],
        "reason": hide_accounts(state.reason),
        "age_seconds": None if age is None else round(age, 1),
        "succeeded": state.succeeded,
        "failed": state.failed,
    }
