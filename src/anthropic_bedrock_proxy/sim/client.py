"""A small client of the control API, for tests and for users' own CI. Standard library only.

sim = SimClient("http://127.0.0.1:8099")
sim.script([{"error": {"type": "ThrottlingException", "message": "Too many requests"}}])
...
assert sim.stats()["operations"]["InvokeModel"]["429"] == 1
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection
from typing import Any, cast
from urllib.parse import urlsplit


class SimError(Exception):
    """The simulator refused a control request; the text says where the mistake is."""


class SimClient:
    """Talks to one simulator. Each call is one short connection; there is nothing to close."""

    def __init__(self, base_url: str, timeout_seconds: float = 10.0) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"the simulator speaks plain http, not {base_url!r}")
        self.base_url = base_url.rstrip("/")
        self._host = parts.hostname
        self._port = parts.port or 80
        self._timeout = timeout_seconds

    def script(self, steps: Sequence[dict[str, Any]]) -> None:
        """Adds steps to the queue. Raises `SimError` for a malformed step."""
        self._call("POST", "/_sim/script", list(steps))

    def queued(self) -> list[dict[str, Any]]:
        """Lists the steps not used up yet."""
        return cast("list[dict[str, Any]]", self._call("GET", "/_sim/script")["steps"])

    def clear_script(self) -> None:
        """Empties the queue."""
        self._call("DELETE", "/_sim/script")

    def requests(self) -> list[dict[str, Any]]:
        """Lists the last requests, oldest first."""
        return cast("list[dict[str, Any]]", self._call("GET", "/_sim/requests")["requests"])

    def clear_requests(self) -> None:
        """Forgets the requests, not the counters."""
        self._call("DELETE", "/_sim/requests")

    def stats(self) -> dict[str, Any]:
        """Returns counters and sums since the start or the last reset."""
        return self._call("GET", "/_sim/stats")

    def reset(self) -> None:
        """Restores the state at start: script, credentials, log."""
        self._call("POST", "/_sim/reset")

    def set_credentials(
        self,
        credentials: Sequence[dict[str, Any]] = (),
        bearer_tokens: Sequence[str] = (),
    ) -> None:
        """Replaces the known key pairs and tokens; none at all lets every caller in."""
        self._call(
            "PUT",
            "/_sim/credentials",
            {"credentials": list(credentials), "bearer_tokens": list(bearer_tokens)},
        )

    def set_profiles(self, profiles: Mapping[str, str]) -> dict[str, str]:
        """Replaces the application inference profiles; returns the ARN of each.

        A profile has a name of your choice and stands for a model id or an inference profile id.
        """
        answer = self._call("PUT", "/_sim/profiles", {"profiles": dict(profiles)})
        return cast("dict[str, str]", answer["arns"])

    def _call(self, method: str, path: str, document: Any = None) -> dict[str, Any]:
        connection = HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, path, body, {"content-type": "application/json"})
            response = connection.getresponse()
            answer: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:  # noqa: PLR2004  # the one success of the control API
            raise SimError(answer.get("error", str(answer)))
        return answer
