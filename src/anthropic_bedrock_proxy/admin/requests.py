"""One request, explained: from this machine's request log, else from its usage record."""

from __future__ import annotations

from typing import Any, Final

from ..errors import NotFoundError
from ..store.base.usage import UsageRecord
from ..telemetry.request_log.record import began_ms
from .call import AdminCall, Nothing
from .documents import document
from .explanation import explain, facts_of

_AGAIN: Final = (
    "Requests are noted when they have ended, on the machine that served them, for "
    "REQUEST_LOG_HOURS; usage records are kept for USAGE_TTL_DAYS."
)


async def get(call: AdminCall[Nothing, Nothing]) -> dict[str, Any]:
    """Returns what happened to a request: `explanation` in plain words, and the `facts`.

    Of a request that another machine has served, or long ago, the usage record tells the most.
    Raises `NotFoundError`.
    """
    request_id = call.parts["id"]
    record = await call.site.find_request(request_id)
    if record is not None:
        return {
            "id": request_id,
            "source": "request_log",
            "explanation": explain(record),
            "facts": facts_of(record),
        }
    usage = await _usage_of(call, request_id)
    if usage is None:
        raise NotFoundError(f"{request_id[:100]}: nothing is known of this request. {_AGAIN}")
    return {
        "id": request_id,
        "source": "usage",
        "explanation": [
            (
                f"Asked for {usage.model}, served by {usage.bedrock_model_id} ({usage.dialect}): "
                f"{usage.error or 'answered'} in {usage.latency_ms} ms."
            ),
            f"Only its usage record is here. {_AGAIN}",
        ],
        "facts": document(usage),
    }


async def _usage_of(call: AdminCall[Nothing, Nothing], request_id: str) -> UsageRecord | None:
    """Returns a request's usage record, if it reached the model and the store."""
    at_ms = began_ms(request_id)
    if at_ms is None:
        return None
    found = await call.store.usage.records(since_ms=at_ms, until_ms=at_ms + 1)
    return next((record for record in found if record.id == request_id), None)
