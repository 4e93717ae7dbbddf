"""Schemas of the paths that tell how the proxy is: /health and those below, /ready, /liveness."""

from __future__ import annotations

from typing import Any, Final, get_args

from ...health.findings import DRAINING, State
from .answers import reference
from .schemas import array, optional, record


def schemas() -> dict[str, Any]:
    """Returns the schemas that the routes about the state name."""
    return {
        "Liveness": record(
            "The process answers.", {"status": _one_of("As long as it answers.", "alive")}
        ),
        "Health": record(
            "What is known of the process and of what it stands on.",
            {
                "status": _one_of(
                    "`unhealthy` if something is failed without which it is not ready; `degraded` "
                    "if anything else is failed or degraded, or it is shutting down.",
                    *("healthy", "degraded", "unhealthy"),
                ),
                "version": _text("The version of the proxy."),
                "environment": _text("ENVIRONMENT, as it was set."),
                "uptime_seconds": _number("Since this worker began."),
                "components": _COMPONENTS,
            },
        ),
        "Readiness": record(
            "Whether new requests are welcome. With `not_ready` the status is 503.",
            {
                "status": _one_of("Whether `missing` is empty.", "ready", "not_ready"),
                "missing": array({"type": "string"})
                | {
                    "description": "The components that keep it from being ready: those of "
                    f"READY_REQUIRES, the store until it has answered once, and `{DRAINING}`."
                },
                "components": _COMPONENTS,
            },
        ),
        "Component": record(
            "One thing that this worker stands on, as it was last looked at.",
            {
                "state": _one_of(
                    "`idle` if it begins when it is first needed; `unknown` if nobody has looked.",
                    *get_args(State),
                ),
                "age_seconds": optional({"type": "number", "minimum": 0})
                | {"description": "Since it was looked at; null if nobody has looked yet."},
                "reason": _text("In general words, with what mends it; empty if it is `ok`."),
            },
        ),
        "SandboxHealth": record(
            "Whether code can be run. With `unhealthy` the status is 503.",
            {
                "enabled": _yes_no("Whether code is ever run."),
                "status": _one_of(
                    "That of the best executor; `idle` if it is not started before it is needed.",
                    *("disabled", "healthy", "idle", "starting", "unhealthy"),
                ),
                "config": {
                    "type": "object",
                    "description": "Settings of sandboxes that tell no secret.",
                },
            },
            active_sessions=_count("Containers that wait or run, of all executors."),
            executors=array(reference("schemas", "Executor"))
            | {"description": "If code is ever run."},
        ),
        "Executor": record(
            "One executor of sandboxes.",
            {
                "id": _text("Its mark, which the ids of its containers begin with."),
                "status": _one_of(
                    "As it was last asked.", *("healthy", "idle", "starting", "unhealthy")
                ),
                "isolation": _text("What its walls are: docker, sandlock."),
                "image": _text("The image of its sandboxes, with Docker."),
                "reason": _text("Why it is not `healthy`."),
                "containers": _count("Containers that wait or run."),
                "running": _count("Pieces of work that run now."),
                "waiting": _count("Pieces of work that wait for a place."),
                "warm": _count("Sandboxes that are ready for who comes next."),
            },
        ),
        "SearchHealth": record(
            "How web searches have gone. With `unhealthy` the status is 503.",
            {
                "enabled": _yes_no("Whether there is a back end."),
                "status": _one_of(
                    "`idle` before the first search, `degraded` if some back ends failed at their "
                    "last one, `unhealthy` if all did.",
                    *("disabled", "idle", "healthy", "degraded", "unhealthy"),
                ),
                "config": {
                    "type": "object",
                    "description": "Settings of web search that tell no secret.",
                },
            },
            reason=_text("Why there is no back end, or one less than was named."),
            backends=array(reference("schemas", "SearchBackend"))
            | {"description": "If there is one; in the order in which they are asked."},
        ),
        "SearchBackend": record(
            "One back end of web search, as this worker's last search left it.",
            {
                "name": _text("Its name in WEB_SEARCH_PROVIDER."),
                "status": _one_of(
                    "`idle` before its first search.", *("idle", "healthy", "unhealthy")
                ),
                "reason": _text("Why it failed."),
                "age_seconds": optional({"type": "number", "minimum": 0})
                | {"description": "Since its last search; null before the first."},
                "succeeded": _count("Searches that it answered."),
                "failed": _count("Searches that it did not answer."),
            },
        ),
    }


def _text(about: str) -> dict[str, Any]:
    return {"type": "string", "description": about}


def _one_of(about: str, *values: str) -> dict[str, Any]:
    return {"enum": list(values), "description": about}


def _number(about: str) -> dict[str, Any]:
    return {"type": "number", "minimum": 0, "description": about}


def _count(about: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "description": about}


def _yes_no(about: str) -> dict[str, Any]:
    return {"type": "boolean", "description": about}


_COMPONENTS: Final[dict[str, Any]] = {
    "type": "object",
    "description": f"By name: store, credentials, upstream, limiter, executor, {DRAINING}.",
    "additionalProperties": reference("schemas", "Component"),
}
