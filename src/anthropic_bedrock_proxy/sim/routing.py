"""Routing: from method, path and signature to an operation.

The path is read as it was sent, because a model ARN in it must be percent-encoded: a bare slash
is another operation. The two Messages endpoints of AWS are two hosts; here they share one, so the
service that the request is signed for tells them apart, and the prefix `/mantle` always means
bedrock-mantle (which is how a bearer token reaches it).
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from . import price_list
from .wire.signature import MANTLE_SERVICE, signed_service

_MODEL_ACTIONS = {
    "invoke": "InvokeModel",
    "invoke-with-response-stream": "InvokeModelWithResponseStream",
    "converse": "Converse",
    "converse-stream": "ConverseStream",
    "count-tokens": "CountTokens",
}


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The operation of a request; `anthropic`: its errors have Anthropic's form."""

    operation: str
    identifier: str = ""
    service: str = "bedrock"
    anthropic: bool = False

    @property
    def takes_messages(self) -> bool:
        """Tells whether the model is named in the body, as at Anthropic."""
        return self.anthropic and self.operation != "Unknown"


def route(method: str, raw_path: str, headers: Mapping[str, str]) -> Route:
    """Returns the operation; `Unknown` if there is none. Header names are lower case."""
    parts = raw_path.split("/")[1:]
    match (method, *parts):
        case ("POST", "model", identifier, action) if identifier and action in _MODEL_ACTIONS:
            return Route(operation=_MODEL_ACTIONS[action], identifier=unquote(identifier))
        case ("GET", "inference-profiles"):
            return Route(operation="ListInferenceProfiles")
        case ("GET", "inference-profiles", identifier) if identifier:
            return Route(operation="GetInferenceProfile", identifier=unquote(identifier))
        case ("GET", "foundation-models"):
            return Route(operation="ListFoundationModels")
        case ("POST", "") if headers.get("x-amz-target") == price_list.TARGET:
            return Route(operation="GetProducts", service=price_list.SERVICE)
        case (_, "mantle", *rest):
            return _messages(method, rest, mantle=True)
        case (_, "anthropic", *_):
            mantle = signed_service(headers) == MANTLE_SERVICE
            return _messages(method, parts, mantle=mantle)
    return Route(operation="Unknown")


def _messages(method: str, parts: list[str], *, mantle: bool) -> Route:
    service = MANTLE_SERVICE if mantle else "bedrock"
    operation = "Unknown"
    match (method, *parts):
        case ("POST", "anthropic", "v1", "messages"):
            operation = "MantleMessages" if mantle else "Messages"
        case ("POST", "anthropic", "v1", "messages", "count_tokens") if mantle:
            operation = "MantleCountTokens"
    return Route(operation=operation, service=service, anthropic=True)
