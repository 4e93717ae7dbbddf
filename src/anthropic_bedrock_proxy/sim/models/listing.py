"""The control plane: the lists of models and inference profiles.

Shapes are those of the `bedrock` service model (botocore): ListInferenceProfiles,
GetInferenceProfile, ListFoundationModels. The list is the table in `catalog.py`; one application
profile with an opaque id is there from the start, because clients must ask what stands behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from ..options import SimulatorOptions
from ..wire.refusal import Refusal, invalid
from .catalog import MODELS
from .lookup import TARGETS
from .model import Model

_CREATED = "2026-01-01T00:00:00Z"
_MAX_RESULTS = 1000
_REGIONS = {
    "us": ("us-east-1", "us-east-2", "us-west-2"),
    "eu": ("eu-central-1", "eu-north-1", "eu-west-1"),
    "apac": ("ap-northeast-1", "ap-southeast-1", "ap-southeast-2"),
    "jp": ("ap-northeast-1", "ap-northeast-3"),
    "au": ("ap-southeast-2", "ap-southeast-4"),
    "us-gov": ("us-gov-west-1", "us-gov-east-1"),
    "global": ("", "us-east-1", "eu-west-1", "ap-northeast-1"),
}
_TITLES = {"us": "US", "eu": "EU", "jp": "JP", "au": "AU", "us-gov": "US-GOV", "apac": "APAC"}


def list_inference_profiles(
    options: SimulatorOptions, application: Mapping[str, str], query: str
) -> dict[str, Any]:
    """Returns a page of profiles. Raises `Refusal`."""
    arguments = {name: values[-1] for name, values in parse_qs(query).items()}
    kind = arguments.get("type", "SYSTEM_DEFINED")
    if kind not in ("SYSTEM_DEFINED", "APPLICATION"):
        raise invalid(
            f"1 validation error detected: Value '{kind}' at 'typeEquals' failed to satisfy "
            "constraint: Member must satisfy enum value set: [SYSTEM_DEFINED, APPLICATION]"
        )
    try:
        size = int(arguments.get("maxResults", _MAX_RESULTS))
        start = int(arguments.get("nextToken", 0))
    except ValueError as error:
        raise invalid("The pagination token or page size is invalid.") from error
    if not 1 <= size <= _MAX_RESULTS or start < 0:
        raise invalid("The pagination token or page size is invalid.")
    profiles = [profile for profile in _profiles(options, application) if profile["type"] == kind]
    page: dict[str, Any] = {"inferenceProfileSummaries": profiles[start : start + size]}
    if start + size < len(profiles):
        page["nextToken"] = str(start + size)
    return page


def get_inference_profile(
    options: SimulatorOptions, application: Mapping[str, str], identifier: str
) -> dict[str, Any]:
    """Returns one profile by id or ARN. Raises `Refusal`."""
    for profile in _profiles(options, application):
        if identifier in (profile["inferenceProfileId"], profile["inferenceProfileArn"]):
            return profile
    raise Refusal("ResourceNotFoundException", "The requested inference profile was not found.")


def list_foundation_models(options: SimulatorOptions, query: str) -> dict[str, Any]:
    """Lists every model, or those of one provider or one inference type."""
    arguments = {name: values[-1] for name, values in parse_qs(query).items()}
    provider = arguments.get("byProvider", "").casefold()
    inference = arguments.get("byInferenceType")
    summaries = []
    for model in MODELS:
        if provider and model.provider.casefold() != provider:
            continue
        types = _inference_types(model)
        if inference is None or inference in types:
            summaries.append(_summary(options, model, types))
    return {"modelSummaries": summaries}


def _summary(options: SimulatorOptions, model: Model, types: list[str]) -> dict[str, Any]:
    return {
        "modelArn": f"arn:aws:bedrock:{options.region}::foundation-model/{model.id}",
        "modelId": model.id,
        "modelName": _title(model),
        "providerName": model.provider,
        "inputModalities": ["TEXT", "IMAGE"] if model.can.images else ["TEXT"],
        "outputModalities": ["TEXT"],
        "responseStreamingSupported": True,
        "customizationsSupported": [],
        "inferenceTypesSupported": types,
        "modelLifecycle": {"status": "ACTIVE"},
    }


def _inference_types(model: Model) -> list[str]:
    types = ["ON_DEMAND"] if not model.needs_profile else []
    return [*types, "INFERENCE_PROFILE"] if model.prefixes else types


def _title(model: Model) -> str:
    return model.name.replace("-", " ").title()


def _profiles(options: SimulatorOptions, application: Mapping[str, str]) -> list[dict[str, Any]]:
    prefix = f"arn:aws:bedrock:{options.region}:{options.account}"
    profiles = []
    for model in MODELS:
        for area in model.prefixes:
            name = f"{_TITLES.get(area, area.title())} {_title(model)}"
            identifier = f"{area}.{model.id}"
            profiles.append(
                _profile(f"{prefix}:inference-profile/{identifier}", identifier, name, model, area)
            )
    for identifier, source in application.items():
        arn = f"{prefix}:application-inference-profile/{identifier}"
        target = TARGETS[source]
        model = target.model
        area = source.partition(".")[0] if target.via_profile else options.region
        profile = _profile(arn, identifier, f"sim {_title(model)}", model, area)
        profiles.append({**profile, "type": "APPLICATION"})
    return profiles


def _profile(arn: str, identifier: str, name: str, model: Model, area: str) -> dict[str, Any]:
    return {
        "inferenceProfileArn": arn,
        "inferenceProfileId": identifier,
        "inferenceProfileName": name,
        "description": f"Routes requests to {_title(model)} in several regions.",
        "createdAt": _CREATED,
        "updatedAt": _CREATED,
        "status": "ACTIVE",
        "type": "SYSTEM_DEFINED",
        "models": [
            {"modelArn": f"arn:aws:bedrock:{region}::foundation-model/{model.id}"}
            for region in _REGIONS.get(area, (area,))
        ],
    }
