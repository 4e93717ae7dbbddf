"""Requested model -> route: the targets that can serve it, in the order to try them.

What a name stands for is told in names.py, which profiles a region has in geography.py. Everything
is resolved once and remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import structs

from ..bounded import Bounded
from ..errors import InvalidRequestError, NotFoundError, ProxyError
from .betas import BetaRules, known_flags
from .geography import base_model_id, bounds, check_partition, exists_in, prefix_of
from .names import ModelNames, plain_name
from .table import MAX_NAME, Capabilities, Model, ModelTable, capabilities_on, line_of

DEFAULT_PROVIDER: Final = "default"  # the one that the AWS_* settings describe
_MAX_REMEMBERED: Final = 1024
# What an ARN gets while nobody could tell the model behind it: the generation in the middle.
_UNRESOLVED_GENERATION: Final = "4.6"


class Target(msgspec.Struct, frozen=True):
    """One way to serve a request: an account and region, a dialect, Bedrock's name of the model."""

    provider: str
    dialect: str
    bedrock_model_id: str
    capabilities: Capabilities


class Route(msgspec.Struct, frozen=True):
    """The way of requests for a model: their targets, and what is known of the model."""

    requested_model: str
    base_model_id: str  # without the profile prefix: CountTokens knows only this one
    model: Model | None  # None: an id or ARN that the registry does not know
    targets: tuple[Target, ...]
    left_out: tuple[tuple[str, str], ...] = ()  # providers of its chain, with the reason
    opaque: bool = False  # an application inference profile: ask Bedrock what is behind it
    listed: bool = True  # False: the name is one of any number that a client may think of
    possible_names: tuple[str, ...] = ()  # of an opaque one: all that may turn out to be behind it
    retires: str = ""  # in words, where it is known when AWS takes the model away


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a failover chain. Empty: as without the chain."""

    provider: str = DEFAULT_PROVIDER
    model: str = ""
    dialect: str = ""


class _Asked(msgspec.Struct, frozen=True):
    """The model that a client asks for: the name as it says it, and what it is mapped to."""

    plain: str
    name: str
    geography: str


class RoutingOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's choices about routing."""

    region: str
    providers: Mapping[str, str] = {}  # name -> region, beside the default provider
    mapping: Mapping[str, str] = {}  # requested name -> another name or a Bedrock id
    dialects: Mapping[str, str] = {}  # model id -> the dialect to use
    chains: Mapping[str, Sequence[Link]] = {}  # model id or * -> where to try, in order
    geography: str = "global"  # global | regional | an inference profile prefix


class Registry:
    """The models, and the routes to them."""

    def __init__(
        self, table: ModelTable, options: RoutingOptions, betas: BetaRules | None = None
    ) -> None:
        """`betas` are the operator's, on top of the table's."""
        self._table = table
        self._options = options
        self.names = ModelNames(table, options.mapping)
        self._stored_dialects: Mapping[str, str] = {}
        self._offered: Mapping[str, Collection[str]] = {}  # base id -> prefixes, as Bedrock lists
        operator = betas or BetaRules()
        self.betas = BetaRules(
            mapping={**table.betas.mapping, **operator.mapping},
            passthrough=operator.passthrough,
            blocklist=operator.blocklist,
            needed_for=table.betas.needed_for,
        )
        self._routes: Bounded[str | tuple[str, str, str], Route] = Bounded(_MAX_REMEMBERED)

    @property
    def models(self) -> Sequence[Model]:
        """Every model, newest first."""
        return self._table.model

    @property
    def chains(self) -> Mapping[str, Sequence[Link]]:
        """Returns the failover chains by the name of their model, or *."""
        return self._options.chains

    def replace_stored(
        self, mapping: Mapping[str, str], dialects: Mapping[str, str] | None = None
    ) -> None:
        """Takes over the store's map, and the dialects it names by alias."""
        self.names.replace_stored(mapping)
        self._stored_dialects = dict(dialects or {})
        self._routes.clear()

    def replace_fetched(self, mapping: Mapping[str, str]) -> None:
        """Takes over the fetched map, which stands under what the operator says."""
        self.names.replace_fetched(mapping)
        self._routes.clear()

    def replace_offered(self, profiles: Mapping[str, Collection[str]]) -> None:
        """Takes over what Bedrock lists for the default account: prefixes of profiles by base id.

        It stands over the table, in which the profiles of a model may be out of date.
        """
        self._offered = dict(profiles)
        self._routes.clear()

    def newest_of_line(self, model: Model) -> Model | None:
        """Finds the newest model of the same line that AWS does not take away, and has here."""
        line = line_of(model.bedrock)
        for other in self._table.model:
            if line is not None and line == line_of(other.bedrock) and other.ends_at is None:
                try:
                    self.route(other.id)
                except ProxyError:
                    continue
                return other
        return None

    def known_betas(self) -> frozenset[str]:
        """Returns the beta flags that no client has made up."""
        return known_flags(self.betas, self._table.generation.values())

    def listed_ids(self) -> frozenset[str]:
        """Returns the Bedrock ids, without profile prefixes, that no client has made up.

        The table, the operator or Bedrock itself has named them; as `Route.listed`, but of targets.
        """
        links = (link for chain in self._options.chains.values() for link in chain)
        return self.names.listed_ids() | {base_model_id(link.model) for link in links}

    def learn_profile(self, arn: str, base_id: str) -> None:
        """Learns which model Bedrock said is behind an application inference profile."""
        self.names.learn_profile(arn, base_id)
        self._routes.clear()

    def route(self, requested: str, *, provider: str = "", geography: str = "") -> Route:
        """Returns the route to a model: via `provider` only, if one is named, and in `geography`.

        Raises `NotFoundError`, and `InvalidRequestError` for a geography the model has not.
        """
        asked = (requested, provider, geography) if provider or geography else requested
        route = self._routes.get(asked)
        if route is None:
            if len(requested) > MAX_NAME:
                raise NotFoundError(f"model: {requested[:200]}")
            route = self._resolve(requested, provider, geography)
            self._routes[asked] = route
        return route

    def target(self, route: Route, provider: str, dialect: str) -> Target:
        """Returns the target for the model of a route in another provider and dialect."""
        link = Link(provider=provider, dialect=dialect)
        return next(self._targets(link, self._asked(route.requested_model, "")))

    def _resolve(self, requested: str, provider: str, geography: str) -> Route:
        asked = self._asked(requested, geography)
        name = asked.name
        model, base = self.names.identify(name)
        if base is None:
            raise NotFoundError(f"model: {requested[:200]}")
        if base in self._table.elsewhere.mantle_openai:
            raise InvalidRequestError(
                f"model: {requested[:200]} is on bedrock-mantle only, which serves it in OpenAI's "
                "API alone; choose a model of GET /v1/models"
            )
        chain = self._chain(requested, model) if not provider else (Link(provider=provider),)
        if dialect := self._stored_dialects.get(requested):
            chain = [structs.replace(link, dialect=link.dialect or dialect) for link in chain]
        opaque = self.names.is_opaque(name)
        targets, left_out = self._reachable(chain, asked)
        return Route(
            requested,
            base,
            model,
            targets,
            left_out,
            opaque=opaque,
            listed=self._is_listed(requested),
            possible_names=self.names.possible if opaque else (),
            retires=_retires(model),
        )

    def _is_listed(self, requested: str) -> bool:
        chains = self._options.chains
        in_chains = requested in chains or plain_name(requested) in chains
        return in_chains or self.names.is_listed(requested)

    def _reachable(
        self, chain: Sequence[Link], asked: _Asked
    ) -> tuple[tuple[Target, ...], tuple[tuple[str, str], ...]]:
        """Returns the targets in the geography, and providers that are not, with the reason.

        Raises `InvalidRequestError` if there is no target.
        """
        targets: list[Target] = []
        # No exceptions: with their tracebacks they would keep the request's body alive.
        left_out: list[tuple[str, str]] = []
        for link in chain:
            try:
                targets += self._targets(link, asked)
            except InvalidRequestError as error:
                left_out.append((link.provider, error.message))
        if not targets:
            raise InvalidRequestError(left_out[-1][1])
        return tuple(targets), tuple(left_out)

    def _asked(self, requested: str, geography: str) -> _Asked:
        return _Asked(plain_name(requested), self.names.mapped(requested), geography)

    def _chain(self, requested: str, model: Model | None) -> Sequence[Link]:
        chains = self._options.chains
        for name in (requested, model.id if model else "", "*"):
            if name in chains:
                return chains[name]
        return (Link(),)

    def _targets(self, link: Link, asked: _Asked) -> Iterator[Target]:
        name, geography = asked.name, asked.geography
        if link.model:
            name = self.names.mapped(link.model)
        model, base = self.names.identify(name)
        if base is None:
            raise NotFoundError(f"model: {name[:200]}")
        generation = self._table.generation[
            model.generation if model else self.names.family(base) or _UNRESOLVED_GENERATION
        ]
        dialects = (model.dialects if model else ()) or generation.dialects
        forced = link.dialect or self._forced_dialect(model, base)
        if "claude" not in generation.features:
            forced = ""  # models of other makers speak one dialect
        region = self._options.providers.get(link.provider, self._options.region)
        for dialect in (forced,) if forced else dialects:
            if dialect == "mantle":  # it knows no inference profiles
                bounds(self._options.geography, region, geography).check_region(region, name)
                bedrock_id = (model and model.mantle) or base
            else:
                bedrock_id = self._bedrock_id(name, model, link.provider, region, geography)
            capabilities = capabilities_on(generation, dialect, model)
            if "claude" in capabilities.features and not link.model and name == asked.plain:
                # Who asks for a Claude by its own name knows its limits; Bedrock says if not.
                capabilities = structs.replace(capabilities, output_tokens=None)
            yield Target(link.provider, dialect, bedrock_id, capabilities)

    def _forced_dialect(self, model: Model | None, base: str) -> str:
        dialects = self._options.dialects
        return (model and dialects.get(model.id)) or dialects.get(base) or dialects.get("*", "")

    def _profiles(
        self, model: Model, provider: str, region: str
    ) -> tuple[Collection[str], Collection[str]]:
        """Returns the prefixes of a model's profiles, and of these those of the partition."""
        if provider == DEFAULT_PROVIDER and model.bedrock in self._offered:
            offered = self._offered[model.bedrock]
            return offered, offered
        return model.profiles, [one for one in model.profiles if exists_in(one, region)]

    def _bedrock_id(
        self, name: str, model: Model | None, provider: str, region: str, geography: str
    ) -> str:
        """Returns the profile or id to call. Raises `InvalidRequestError` outside the geography."""
        within = bounds(self._options.geography, region, geography)
        by_name = name in self.names.by_name
        if model is not None and (by_name or (name == model.bedrock and geography)):
            profiles, there = self._profiles(model, provider, region)
            if profiles and (prefix := within.choose(there, name)):
                return f"{prefix}.{model.bedrock}"
            if profiles and "claude" in self._table.generation[model.generation].features:
                raise _nowhere(name, profiles, region)
        prefix = prefix_of(name)
        if prefix:
            within.check_profile(prefix, name)
            check_partition(prefix, region, name)
        elif not name.startswith("arn:"):  # whoever may use an ARN is IAM's matter
            within.check_region(region, name)
        return model.bedrock if model is not None and by_name else name


def _nowhere(name: str, profiles: Collection[str], region: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"model: {name[:200]} has no inference profile for {region}: it has "
        f"{', '.join(profiles)}. Choose another model or region; if it has come there since, let "
        "the operator run `models sync` or map the name to its id there"
    )


def _retires(model: Model | None) -> str:
    if model is None or model.ends_at is None:
        return ""
    return f"model: {model.id} is retired on {model.ends_at}"
