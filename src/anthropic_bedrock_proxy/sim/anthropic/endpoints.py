"""Validation of requests to the two Messages endpoints: headers first, then the shared body rules.

bedrock-runtime and bedrock-mantle take Anthropic's own body; they differ in model ids, beta flags
and structured output (`dialect.py`). Sources: AWS on both endpoints; the Anthropic API reference
for the version and beta headers; what the Anthropic SDK sends to bedrock-mantle.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..models.lookup import resolve_for_mantle, resolve_for_messages
from ..models.model import Model
from ..prompt import Prompt
from ..wire.fields import need, typed
from ..wire.refusal import invalid
from .dialect import MANTLE, MANTLE_COUNT, RUNTIME
from .validation import NEW_VERSION, check_body

_VERSIONS = ("2023-06-01", NEW_VERSION)


def named(body: dict[str, Any]) -> tuple[str, bool]:
    """Reads (model, whether a stream is wanted) for the log; lenient about both."""
    model = body.get("model")
    return (model if isinstance(model, str) else ""), body.get("stream") is True


def validate(
    operation: str, body: dict[str, Any], headers: Mapping[str, str], profiles: Mapping[str, str]
) -> Prompt:
    """Checks a request; returns its prompt. Raises `Refusal`."""
    identifier = need("", body, "model", str)
    mantle = operation.startswith("Mantle")
    model = resolve_for_mantle(identifier) if mantle else resolve_for_messages(identifier, profiles)
    counts = operation == "MantleCountTokens"
    if not counts and body.get("stream") is not None:
        typed("stream", body["stream"], bool)
    dialect = MANTLE_COUNT if counts else MANTLE if mantle else RUNTIME
    return check_body(
        model,
        body,
        dialect,
        betas=_flags(headers),
        new_version=_version(model, headers) == NEW_VERSION,
    )


def _version(model: Model, headers: Mapping[str, str]) -> str:
    version = headers.get("anthropic-version")
    if version is None:
        raise invalid("anthropic-version: header is required")
    # The new version exists for Claude 4.7 and later only.
    if version not in _VERSIONS or (version == NEW_VERSION and model.generation < (4, 7)):
        raise invalid(f'anthropic-version: "{version}" is not a valid version')
    return version


def _flags(headers: Mapping[str, str]) -> list[str]:
    given = headers.get("anthropic-beta", "").split(",")
    return [flag.strip() for flag in given if flag.strip()]
