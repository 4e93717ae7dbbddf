"""Targets that `litellm_params.model` names: models of Bedrock, of Anthropic, of somebody else.

    bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0
    bedrock/converse/amazon.nova-pro-v1:0
    bedrock/us-west-2/anthropic.claude-3-haiku-20240307-v1:0

Source: docs.litellm.ai, "AWS Bedrock".
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from ...models.names import ModelNames

REGION: Final = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")
_COMMITMENT: Final = re.compile(r"\d+-month-commitment")
_BEDROCK: Final = ("bedrock", "bedrock_converse", "bedrock_mantle")
# Routes whose answers are not those of a text model in Anthropic's API.
_NO_MODELS: Final = ("agent", "agentcore", "async_invoke", "batch", "realtime", "flows")
# Ways to call a model, and makers of imported ones.
_ROUTES: Final = (
    *("converse", "converse_like", "invoke", "messages", "mantle"),
    *("deepseek_r1", "llama", "moonshot", "nova", "openai", "qwen2", "qwen3"),
)


class NamedTarget(msgspec.Struct, frozen=True, kw_only=True):
    """A model to call on Bedrock; `moved`: it was called at Anthropic before."""

    model_id: str
    route: str = ""
    region: str | None = None
    moved: bool = False


def read_target(model: str, names: ModelNames) -> NamedTarget | str:
    """Returns the target that a model's name means here; a text says why there is none."""
    maker, slash, rest = model.partition("/")
    if slash and maker in _BEDROCK:
        return _bedrock(rest, "mantle" if maker == "bedrock_mantle" else "", names)
    if (slash and maker == "anthropic") or (not slash and names.by_name.get(model)):
        name = rest or model
        if names.by_name.get(name) is None:
            return f"Bedrock has no model {name} that this proxy knows"
        return NamedTarget(model_id=name, moved=True)
    if not slash and names.identify(model)[1] is not None:
        return _bedrock(model, "", names)
    return "it is a model of another provider, and all models are called through Amazon Bedrock"


def _bedrock(path: str, route: str, names: ModelNames) -> NamedTarget | str:
    parts = path.split("/")
    region = None
    while len(parts) > 1 and not parts[0].startswith("arn:"):
        head = parts[0]
        if head in _NO_MODELS:
            return f"bedrock/{head} calls no text model"
        if REGION.fullmatch(head):
            region = head
        elif head in _ROUTES:
            route = head
        elif not _COMMITMENT.fullmatch(head):
            break
        parts = parts[1:]
    model_id = "/".join(parts)
    if "*" in model_id:
        return "it stands for any model, and clients say Bedrock's ids here without a prefix"
    if names.identify(model_id)[1] is None:
        return f"this proxy knows no model {model_id[:200]} on Bedrock that writes text"
    return NamedTarget(model_id=model_id, route=route, region=region)
