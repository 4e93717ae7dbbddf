"""GET /health/ptc: whether code can be run, from what is known already.

Nothing is pulled, started or waited for: whoever asks first is told that it is not known yet, and
has it looked up. No key is needed, so addresses of executors are not told, only their marks, which
the ids of their containers begin with; nor is the account of a registry that has an image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from ..redaction import hide_accounts
from ..sandbox.address import ExecutorAddress
from ..sandbox.wire import ExecutorState
from .application import HTTPRoute, Request
from .reply import Reply

_encode = msgspec.json.Encoder().encode
_UNAVAILABLE: Final = 503
_WORDS: Final = {"ready": "healthy", "idle": "idle", "preparing": "starting"}
_NOT_ASKED: Final = ExecutorState(status="preparing", reason="It has not been asked yet.")
# An installation is as well as its best executor.
_ORDER: Final = ("healthy", "idle", "starting", "unhealthy")


class SandboxHealth:
    """The health of sandboxes, as anybody may see it."""

    def __init__(
        self,
        states: Callable[[], Mapping[str, ExecutorState | None]] | None,
        config: Mapping[str, Any],
    ) -> None:
        """`states` tells what is known of each executor by its URL; None: code is never run.

        `config` are settings that tell no secret.
        """
        self._states = states
        self._config = {
            name: hide_accounts(value) if isinstance(value, str) else value
            for name, value in config.items()
        }

    def routes(self) -> Iterable[HTTPRoute]:
        """Returns the route, which needs no key."""
        return (HTTPRoute("/health/ptc", {"GET": self.get, "HEAD": self.get}),)

    async def get(self, _: Request) -> Reply:
        """Tells how sandboxes are; 503 if code is to be run and cannot be."""
        if self._states is None:
            return Reply(_encode({"enabled": False, "status": "disabled", "config": self._config}))
        states = self._states()
        executors = [_executor(url, state or _NOT_ASKED) for url, state in states.items()]
        status = min((each["status"] for each in executors), key=_ORDER.index)
        body = {
            "enabled": True,
            "status": status,
            "active_sessions": sum(each["containers"] for each in executors),
            "config": self._config,
            "executors": executors,
        }
        return Reply(_encode(body), status=_UNAVAILABLE if status == "unhealthy" else 200)


def _executor(url: str, state: ExecutorState) -> dict[str, Any]:
    return {
        "id": ExecutorAddress.from_url(url).mark,
        "status": _WORDS.get(state.status, "unhealthy"),
        "isolation": state.isolation,
        "image": hide_accounts(state.details.get("image", "")),
        "reason": hide_accounts(state.reason),
        "containers": state.containers,
        "running": state.running,
        "waiting": state.waiting,
        "warm": state.warm,
    }
