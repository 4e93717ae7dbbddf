"""Requested model -> route: the targets that can serve it, in the order to try them.

A name is looked up in this order: the store's map (`models map`), the operator's
DEFAULT_MODEL_MAPPING, the fetched map (MODEL_MAPPING_SYNC_URL), Anthropic ids and aliases (a `[1m]`
suffix is ignored: the window is the model's own), Bedrock ids with or without an inference profile
prefix, ARNs. Everything is resolved once and remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import structs

from ..bounded import Bounded
from ..errors import InvalidRequestError, NotFoundError, ProxyError
from .betas import BetaRules, known_flags
from .geography import PROFILE_PREFIXES, bounds, check_partition, prefix_of
from .table import MAX_NAME, Capabilities, Model, ModelTable, capabilities_on, line_of

DEFAULT_PROVIDER: Final = "default"  # the one that the AWS_* settings describe
_LARGE_CONTEXT_SUFFIX: Final = "[1m]"
_MAX_REMEMBERED: Final = 1024
_LONGEST_TYPED: Final = 100  # characters of a name that a person may have mistyped
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
        self._stored: Mapping[str, str] = {}
        self._remote: Mapping[str, str] = {}
        self._stored_dialects: Mapping[str, str] = {}
        self._profile_models: dict[str, str] = {}  # application profile ARN -> base id
        self._offered: Mapping[str, Collection[str]] = {}  # base id -> prefixes, as Bedrock lists
        operator = betas or BetaRules()
        self.betas = BetaRules(
            mapping={**table.betas.mapping, **operator.mapping},
            passthrough=operator.passthrough,
            blocklist=operator.blocklist,
            needed_for=table.betas.needed_for,
        )
        self._by_name = {name: m for m in table.model for name in (m.id, *m.aliases)}
        self._by_bedrock_id = {
            name: m for m in table.model for name in (m.bedrock, m.mantle or m.bedrock)
        }
        self._all_names = (*self._by_name, *self._by_bedrock_id, *table.families)
        self._routes: Bounded[str | tuple[str, str, str], Route] = Bounded(_MAX_REMEMBERED)

    @property
    def models(self) -> Sequence[Model]:
        """Every model, newest first."""
        return self._table.model

    @property
    def chains(self) -> Mapping[str, Sequence[Link]]:
        """Returns the failover chains by the name of their model, or *."""
        return self._options.chains

    @property
    def mapping(self) -> dict[str, str]:
        """Requested name -> what it stands for: of the store, the settings, the fetched map."""
        return {**self._remote, **self._options.mapping, **self._stored}

    def find(self, name: str) -> Model | None:
        """Finds the model behind an Anthropic id, an alias or a Bedrock id."""
        return self._by_name.get(name) or self._by_bedrock_id.get(base_model_id(name))

    def behind(self, name: str) -> Model | None:
        """Finds the model behind any name, ARNs of profiles included as far as they are known."""
        return self._identify(name)[0]

    def replace_stored(
        self, mapping: Mapping[str, str], dialects: Mapping[str, str] | None = None
    ) -> None:
        """Takes over the store's map, and the dialects it names by alias."""
        self._stored = dict(mapping)
        self._stored_dialects = dict(dialects or {})
        self._routes.clear()

    def replace_remote(self, mapping: Mapping[str, str]) -> None:
        """Takes over the fetched map, which stands under what the operator says."""
        self._remote = dict(mapping)
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

    def did_you_mean(self, name: str) -> str:
        """Returns a question for who mistyped a model's name; empty if no name is like it."""
        import difflib  # noqa: PLC0415  # only for a mistake

        close = difflib.get_close_matches(name[:_LONGEST_TYPED], self._all_names, n=1)
        return f"; did you mean {close[0]}?" if close else ""

    def known_betas(self) -> frozenset[str]:
        """Returns the beta flags that no client has made up."""
        return known_flags(self.betas, self._table.generation.values())

    def listed_ids(self) -> frozenset[str]:
        """Returns the Bedrock ids, without profile prefixes, that no client has made up.

        The table, the operator or Bedrock itself has named them; as `Route.listed`, but of targets.
        """
        chains = self._options.chains.values()
        named = (*self.mapping.values(), *(link.model for chain in chains for link in chain))
        return frozenset((*self._by_bedrock_id, *self._profile_models, *map(base_model_id, named)))

    def learn_profile(self, arn: str, base_model_id: str) -> None:
        """Learns which model Bedrock said is behind an application inference profile."""
        self._profile_models[arn] = base_model_id
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
        model, base = self._identify(name)
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
        opaque = _is_application_profile(name) and name not in self._profile_models
        targets, left_out = self._reachable(chain, asked)
        return Route(
            requested,
            base,
            model,
            targets,
            left_out,
            opaque=opaque,
            listed=self._is_listed(requested),
            possible_names=self._all_names if opaque else (),
            retires=_retires(model),
        )

    def _is_listed(self, requested: str) -> bool:
        """Tells whether the operator, the table or Bedrock itself has named the model."""
        plain = _plain(requested)
        names: tuple[Mapping[str, object], ...] = (
            self._by_name,
            self._stored,
            self._options.mapping,
            self._remote,
            self._options.chains,
            self._profile_models,
        )
        return base_model_id(plain) in self._by_bedrock_id or any(
            name in known for name in (requested, plain) for known in names
        )

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
        return _Asked(_plain(requested), self._mapped(requested), geography)

    def _mapped(self, requested: str) -> str:
        plain = _plain(requested)
        for mapping in (self._stored, self._options.mapping, self._remote):
            for name in (requested, plain):
                if name in mapping:
                    return mapping[name]
        return plain

    def _identify(self, name: str) -> tuple[Model | None, str | None]:
        """Identifies (model, base id); a base id of None: the name is not known at all."""
        model = self._by_name.get(name)
        if model is not None:
            return model, model.bedrock
        base = base_model_id(self._profile_models.get(name, name))
        if base.startswith("arn:"):
            inner = base_model_id(base.rpartition("/")[2])  # inference-profile/us.anthropic.…
            model = self._by_bedrock_id.get(inner)
            return model, model.bedrock if model else base
        model = self._by_bedrock_id.get(base)
        if model is not None:
            return model, model.bedrock
        return None, base if self._family(base) is not None else None

    def _family(self, base: str) -> str | None:
        """Finds the generation of an id that the registry does not list, by its longest prefix."""
        prefixes = [prefix for prefix in self._table.families if base.startswith(prefix)]
        return self._table.families[max(prefixes, key=len)] if prefixes else None

    def _chain(self, requested: str, model: Model | None) -> Sequence[Link]:
        chains = self._options.chains
        for name in (requested, model.id if model else "", "*"):
            if name in chains:
                return chains[name]
        return (Link(),)

    def _targets(self, link: Link, asked: _Asked) -> Iterator[Target]:
        name, geography = asked.name, asked.geography
        if link.model:
            name = self._mapped(link.model)
        model, base = self._identify(name)
        if base is None:
            raise NotFoundError(f"model: {name[:200]}")
        generation = self._table.generation[
            model.generation if model else self._family(base) or _UNRESOLVED_GENERATION
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

    def _profiles(self, model: Model, provider: str) -> Collection[str]:
        if provider == DEFAULT_PROVIDER and model.bedrock in self._offered:
            return self._offered[model.bedrock]
        return model.profiles

    def _bedrock_id(
        self, name: str, model: Model | None, provider: str, region: str, geography: str
    ) -> str:
        """Returns the profile or id to call. Raises `InvalidRequestError` outside the geography."""
        within = bounds(self._options.geography, region, geography)
        by_name = name in self._by_name
        if model is not None and (by_name or (name == model.bedrock and geography)):
            profiles = self._profiles(model, provider)
            if profiles and (prefix := within.choose(profiles, name)):
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


def _plain(requested: str) -> str:
    return requested.removesuffix(_LARGE_CONTEXT_SUFFIX)


def _is_application_profile(name: str) -> bool:
    return name.startswith("arn:") and ":application-inference-profile/" in name


def base_model_id(name: str) -> str:
    """Returns a Bedrock id without its inference profile prefix."""
    prefix, _, rest = name.partition(".")
    return rest if prefix in PROFILE_PREFIXES and rest else name
