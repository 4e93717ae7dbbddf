"""Service tiers: which one a request asks for and whether the model has it.

InvokeModel takes the tier in a header and repeats it in the answer, Converse has a field for
both. A reserved tier needs a reservation, which nobody has here. Sources: the service model
(botocore); the sentences are from public reports.
"""

from __future__ import annotations

from collections.abc import Mapping

from .models.model import Model
from .wire.delivery import Headers
from .wire.refusal import Refusal, invalid

_HEADER = "x-amzn-bedrock-service-tier"
_TIERS = ("priority", "default", "flex", "reserved")
_LATENCIES = ("standard", "optimized")


def echoed(headers: Mapping[str, str]) -> Headers:
    """Checks and returns the request headers that InvokeModel repeats in its answer."""
    repeated: Headers = []
    for name, key, allowed in (
        (_HEADER, "serviceTier", _TIERS),
        ("x-amzn-bedrock-performanceconfig-latency", "performanceConfigLatency", _LATENCIES),
    ):
        value = headers.get(name)
        if value is None:
            continue
        if value not in allowed:
            raise invalid(
                f"1 validation error detected: Value '{value}' at '{key}' failed to satisfy "
                f"constraint: Member must satisfy enum value set: [{', '.join(allowed)}]"
            )
        repeated.append((name.encode(), value.encode()))
    return repeated


def asked(headers: Mapping[str, str]) -> str | None:
    """Reads the tier in the header; None if there is none."""
    return headers.get(_HEADER)


def check(model: Model, tier: str | None) -> None:
    """Refuses a tier that the model lacks."""
    if tier == "reserved":
        raise Refusal("ValidationException", "Reservation not found.")
    if tier is not None and tier not in model.service_tiers:
        raise invalid("The provided service tier is not supported for this model.")
