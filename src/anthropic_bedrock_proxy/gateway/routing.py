"""Requested model -> route: which Bedrock id in which dialect, and what that model accepts.

A name is looked up in this order: the operator's DEFAULT_MODEL_MAPPING, Anthropic ids and aliases
(a `[1m]` suffix is ignored: the window is the model's own), Bedrock ids with or without an
inference profile prefix, ARNs. Everything is resolved once and remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ..errors import NotFoundError
from ..protocol.betas import BetaRules
from ..protocol.capabilities import Generation, Model, ModelTable

PROFILE_PREFIXES: Final = ("global", "us", "eu", "apac", "jp", "au", "us-gov")
_LARGE_CONTEXT_SUFFIX: Final = "[1m]"
_MAX_REMEMBERED: Final = 1024
_MAX_NAME: Final = 2048  # Bedrock's own bound of a model id
# The inference profile that a region's own geography offers, by the region's prefix.
_GEOGRAPHIES: Final = (
    ("us-gov-", ("us-gov",)),
    ("us-", ("us",)),
    ("ca-", ("us",)),
    ("eu-", ("eu",)),
    ("ap-northeast-", ("jp", "apac")),
    ("ap-southeast-", ("au", "apac")),
    ("ap-", ("apac",)),
)


class Route(msgspec.Struct, frozen=True):
    """Where a request goes and what may be sent there."""

    requested_model: str
    dialect: str
    bedrock_model_id: str
    base_model_id: str  # without the profile prefix: CountTokens knows only this one
    generation: Generation
    model: Model | None  # None: an id or ARN that the registry does not know


class Registry:
    """The models of one region."""

    def __init__(
        self,
        table: ModelTable,
        *,
        region: str,
        mapping: Mapping[str, str] | None = None,
        betas: BetaRules | None = None,
    ) -> None:
        """`mapping` is the operator's: requested name -> Bedrock id; `betas` come on top too."""
        self._table = table
        self._region = region
        self._mapping = dict(mapping or {})
        operator = betas or BetaRules()
        self.betas = BetaRules(
            mapping={**table.betas.mapping, **operator.mapping},
            passthrough=operator.passthrough,
            blocklist=operator.blocklist,
            needed_for=table.betas.needed_for,
        )
        self._by_name = {name: m for m in table.model for name in (m.id, *m.aliases)}
        self._by_bedrock_id = {m.bedrock: m for m in table.model}
        self._routes: dict[str, Route] = {}

    @property
    def models(self) -> Sequence[Model]:
        """Every model, newest first."""
        return self._table.model

    def find(self, name: str) -> Model | None:
        """The model behind an Anthropic id, an alias or a Bedrock id."""
        return self._by_name.get(name) or self._by_bedrock_id.get(_without_prefix(name))

    def route(self, requested: str) -> Route:
        """Raises `NotFoundError`."""
        route = self._routes.get(requested)
        if route is None:
            if len(requested) > _MAX_NAME:
                raise NotFoundError(f"model: {requested[:200]}")
            route = self._resolve(requested)
            if len(self._routes) >= _MAX_REMEMBERED:
                self._routes.clear()
            self._routes[requested] = route
        return route

    def _resolve(self, requested: str) -> Route:
        name = self._mapping.get(requested)
        if name is None:
            plain = requested.removesuffix(_LARGE_CONTEXT_SUFFIX)
            name = self._mapping.get(plain, plain)
        model = self._by_name.get(name)
        if model is not None:
            return self._route(requested, self._profile(model), model)
        base = _without_prefix(name)
        model = self._by_bedrock_id.get(base)
        if model is not None:
            return self._route(requested, name, model)
        if name.startswith("arn:") or base.startswith("anthropic."):
            return self._route(requested, name, self._closest(base))
        raise NotFoundError(f"model: {requested[:200]}")

    def _route(self, requested: str, bedrock_id: str, model: Model | None) -> Route:
        generation = model.generation if model else "4.5"  # what every current Claude accepts
        return Route(
            requested,
            "invoke",
            bedrock_id,
            model.bedrock if model else _without_prefix(bedrock_id),
            self._table.generation[generation],
            model,
        )

    def _closest(self, base: str) -> Model | None:
        """The model that an ARN ends in (inference-profile/us.anthropic.…), if it does."""
        return self._by_bedrock_id.get(_without_prefix(base.rpartition("/")[2]))

    def _profile(self, model: Model) -> str:
        """The worldwide profile where there is one, as the predecessor chose; else the region's."""
        if "global" in model.profiles and not self._region.startswith("us-gov-"):
            return f"global.{model.bedrock}"
        for prefix, geographies in _GEOGRAPHIES:
            if self._region.startswith(prefix):
                for geography in geographies:
                    if geography in model.profiles:
                        return f"{geography}.{model.bedrock}"
        return f"{model.profiles[0]}.{model.bedrock}" if model.profiles else model.bedrock


def _without_prefix(name: str) -> str:
    prefix, _, rest = name.partition(".")
    return rest if prefix in PROFILE_PREFIXES and rest else name
