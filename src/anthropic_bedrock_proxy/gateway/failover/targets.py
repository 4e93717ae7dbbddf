"""Targets, told apart and named; and what a refusal says about the target that gave it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ...aws_errors import CUT_SHORT, UpstreamRefusal, from_refusal, rule_for
from ...errors import NotFoundError, PermissionDeniedError, RateLimitError, UpstreamTimeoutError
from ...models.registry import Target

_NO_SUCH_ENDPOINT: Final = frozenset((404, 405, 501))
_NOT_IN_REGION: Final = re.compile(
    r"(?:not (?:yet )?(?:available|supported|enabled)|unavailable|unsupported)\b.{0,60}\bregion",
    re.IGNORECASE,
)

# The model failed on this one request: what it was asked may be the reason.
_OF_THE_MODEL: Final = frozenset(("ModelErrorException", "ModelStreamErrorException", CUT_SHORT))

THROTTLING: Final = "throttling"
FAILURES: Final = "failures"

QuotaId = tuple[str, str]  # provider, Bedrock model id: what has a quota and a breaker of its own


def quota_of(target: Target) -> QuotaId:
    """Returns the pair that has a quota and a breaker of its own."""
    return target.provider, target.bedrock_model_id


def label(target: Target) -> str:
    """Returns a target's name for headers, logs and metrics."""
    return f"{target.provider}/{target.dialect}"


def has_several(targets: Sequence[Target]) -> bool:
    """Tells whether there is more than one provider or model to choose from."""
    if len(targets) == 1:
        return False
    quota = quota_of(targets[0])
    return any(quota_of(target) != quota for target in targets)


def is_elsewhere(target: Target, refusal: UpstreamRefusal) -> bool:
    """Tells whether the endpoint itself is missing: the same provider may speak another dialect."""
    return target.dialect in ("messages", "mantle") and (
        refusal.status in _NO_SUCH_ENDPOINT or rule_for(refusal).error is NotFoundError
    )


def is_broken(refusal: UpstreamRefusal) -> bool:
    """Tells whether the target is at fault for all requests: throttled, down, slow, no keys."""
    rule = rule_for(refusal)
    return rule.retryable or rule.credentials or rule.error is RateLimitError


def is_of_the_request(refusal: UpstreamRefusal) -> bool:
    """Tells whether the request may have caused the failure: another may fare well there."""
    return rule_for(refusal).error is UpstreamTimeoutError or refusal.code in _OF_THE_MODEL


def is_unavailable(refusal: UpstreamRefusal) -> bool:
    """Tells whether the model is not to be had there, but may be in another account or region."""
    told = from_refusal(refusal)
    return isinstance(told, PermissionDeniedError | NotFoundError) or bool(
        _NOT_IN_REGION.search(told.message)
    )


def identity(target: Target) -> tuple[str, str, str]:
    """Returns the key under which a missing endpoint is remembered."""
    return target.provider, target.dialect, target.bedrock_model_id
