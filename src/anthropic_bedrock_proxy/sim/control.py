"""The control API under `/_sim/`: load a script, read what arrived, start over.

It has no authentication and shows whole prompts, so it is mounted only on loopback addresses or
when asked for. Documented in docs/how-to/simulator.md; `client.py` speaks it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .models.lookup import TARGETS
from .options import Credential
from .script import parse_steps
from .state import SimulatorState


class _Credentials(msgspec.Struct, forbid_unknown_fields=True):
    credentials: tuple[Credential, ...] = ()
    bearer_tokens: tuple[str, ...] = ()


class _Profiles(msgspec.Struct, forbid_unknown_fields=True):
    profiles: dict[str, str]

    def __post_init__(self) -> None:
        """Raises `ValueError` for a profile of anything but a model or a system profile."""
        for name, source in self.profiles.items():
            if not name or source not in TARGETS:
                raise ValueError(f"profiles.{name}: no model or inference profile {source!r}")


def control(simulator: SimulatorState, method: str, path: str, body: bytes) -> tuple[int, Any]:
    """Answers one control request: (status, JSON document)."""
    action = _ROUTES.get((method, path))
    if action is None:
        known = sorted(f"{method} {path}" for method, path in _ROUTES)
        return 404, {"error": f"no such control route: {method} {path}", "routes": known}
    try:
        return 200, action(simulator, body)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        return 400, {"error": str(error)}


def _add_script(simulator: SimulatorState, body: bytes) -> Any:
    steps = parse_steps(body)
    simulator.script.extend(steps)
    return {"added": len(steps), "queued": len(simulator.script)}


def _show_script(simulator: SimulatorState, _: bytes) -> Any:
    return {"steps": simulator.script.remaining()}


def _clear_script(simulator: SimulatorState, _: bytes) -> Any:
    simulator.script.clear()
    return {"queued": 0}


def _show_requests(simulator: SimulatorState, _: bytes) -> Any:
    return {"requests": simulator.log.entries()}


def _clear_requests(simulator: SimulatorState, _: bytes) -> Any:
    simulator.log.clear()
    return {"requests": []}


def _reset(simulator: SimulatorState, _: bytes) -> Any:
    simulator.reset()
    return {"queued": len(simulator.script)}


def _stats(simulator: SimulatorState, _: bytes) -> Any:
    return simulator.log.stats()


def _credentials(simulator: SimulatorState, body: bytes) -> Any:
    given = msgspec.json.decode(body, type=_Credentials)
    simulator.verifier.replace(given.credentials, given.bearer_tokens)
    return {"credentials": len(given.credentials), "bearer_tokens": len(given.bearer_tokens)}


def _profiles(simulator: SimulatorState, body: bytes) -> Any:
    given = msgspec.json.decode(body, type=_Profiles)
    simulator.profiles = given.profiles
    options = simulator.options
    prefix = f"arn:aws:bedrock:{options.region}:{options.account}:application-inference-profile"
    return {"arns": {name: f"{prefix}/{name}" for name in given.profiles}}


_ROUTES = {
    ("POST", "/_sim/script"): _add_script,
    ("GET", "/_sim/script"): _show_script,
    ("DELETE", "/_sim/script"): _clear_script,
    ("GET", "/_sim/requests"): _show_requests,
    ("DELETE", "/_sim/requests"): _clear_requests,
    ("POST", "/_sim/reset"): _reset,
    ("GET", "/_sim/stats"): _stats,
    ("PUT", "/_sim/credentials"): _credentials,
    ("PUT", "/_sim/profiles"): _profiles,
}
