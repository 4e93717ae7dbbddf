"""Resolution of model identifiers: base ids, inference profile ids, ARNs, Anthropic's paths.

Newer models have no on-demand throughput and want a profile; bedrock-mantle is the reverse and
knows bare ids only. An application inference profile has an opaque id that says nothing about
the model behind it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from ..options import APPLICATION_PROFILES
from ..wire.refusal import Refusal, invalid
from .catalog import MODELS
from .model import Model

_ARN = re.compile(
    r"arn:aws(?:-[a-z]+)*:bedrock:[a-z0-9-]+:(?:\d{12})?:"
    r"(foundation-model|inference-profile|application-inference-profile)/(.+)"
)
_DATE = re.compile(r"-\d{8}(-v\d:\d)?$")


class Target(msgspec.Struct, frozen=True):
    """The model that an identifier in the path stands for."""

    model: Model
    via_profile: bool


def _table() -> Iterator[tuple[str, Target]]:
    for model in MODELS:
        yield model.id, Target(model, via_profile=False)
        for prefix in model.prefixes:
            yield f"{prefix}.{model.id}", Target(model, via_profile=True)


def _mantle_table() -> Iterator[tuple[str, Model]]:
    for model in MODELS:
        if model.serves_messages:
            yield model.id, model
            yield _DATE.sub("", model.id), model


TARGETS: dict[str, Target] = dict(_table())
_MANTLE: dict[str, Model] = dict(_mantle_table())


def resolve(identifier: str, profiles: Mapping[str, str] = APPLICATION_PROFILES) -> Target:
    """Returns the model behind a base id, a profile id or an ARN. Raises `Refusal`."""
    target = TARGETS.get(identifier)
    if target is None and (arn := _ARN.fullmatch(identifier)):
        kind, name = arn.groups()
        if kind == "application-inference-profile":
            backing = TARGETS.get(profiles.get(name, ""))
            if backing is None:
                raise Refusal("ResourceNotFoundException", "The inference profile was not found.")
            return Target(backing.model, via_profile=True)
        target = TARGETS.get(name)
        if target and target.via_profile is (kind == "foundation-model"):
            target = None
    if target is None:
        raise invalid("The provided model identifier is invalid.")
    return target


def resolve_for_inference(
    identifier: str, profiles: Mapping[str, str] = APPLICATION_PROFILES
) -> Model:
    """Returns the model behind an identifier.

    Raises `Refusal`, also for the bare id of a model that has no on-demand throughput.
    """
    target = resolve(identifier, profiles)
    if target.model.needs_profile and not target.via_profile:
        raise invalid(
            f"Invocation of model ID {identifier} with on-demand throughput isn\u2019t supported. "
            "Retry your request with the ID or ARN of an inference profile that contains this "
            "model."
        )
    return target.model


def resolve_for_messages(identifier: str, profiles: Mapping[str, str]) -> Model:
    """Returns the model of a Messages request to bedrock-runtime. Raises `Refusal`."""
    try:
        served = resolve(identifier, profiles).model.serves_messages
    except Refusal as refusal:
        raise _unknown(identifier) from refusal
    if not served:
        raise _unknown(identifier)
    return resolve_for_inference(identifier, profiles)


def resolve_for_mantle(identifier: str) -> Model:
    """Returns the model of a request to bedrock-mantle: bare ids only. Raises `Refusal`."""
    model = _MANTLE.get(identifier)
    if model is None:
        raise _unknown(identifier)
    return model


def _unknown(identifier: str) -> Refusal:
    return Refusal("ResourceNotFoundException", f"model: {identifier}")
