"""CountTokens: the same validation as the call it counts for, then the estimate.

It wants the base id of a model, not an inference profile, and serves only models that have it;
the InvokeModel form carries the whole body base64-coded, `max_tokens` included. Sources: the
service model (botocore); refusals from public issue reports.
"""

from __future__ import annotations

from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any

from .anthropic import validation as invoke
from .converse import validation as converse
from .models.lookup import resolve
from .prompt import Prompt
from .wire.refusal import invalid

_UNSUPPORTED = "The provided model doesn't support counting tokens."


def validate(identifier: str, data: bytes, profiles: Mapping[str, str]) -> Prompt:
    """Checks a request; returns the prompt to count. Raises `Refusal`."""
    target = resolve(identifier, profiles)
    if target.via_profile or not target.model.counts_tokens:
        raise invalid(_UNSUPPORTED)
    document = invoke.decode_body(data)
    given: Any = document.get("input")
    if not isinstance(given, dict) or len(document) != 1:
        raise invalid(
            "1 validation error detected: Value null at 'input' failed to satisfy "
            "constraint: Member must not be null"
        )
    if set(given) == {"invokeModel"}:
        return invoke.validate(target.model, _body(given["invokeModel"]))
    if set(given) == {"converse"}:
        return converse.validate_count(target.model, given["converse"])
    raise invalid("The input must be exactly one of: invokeModel, converse.")


def _body(given: Any) -> bytes:
    coded = given.get("body") if isinstance(given, dict) else None
    if not isinstance(coded, str):
        raise invalid("The invokeModel input requires a base64-encoded body.")
    try:
        return a2b_base64(coded, strict_mode=True)
    except (Base64Error, ValueError) as error:
        raise invalid("The invokeModel body is not valid base64.") from error
