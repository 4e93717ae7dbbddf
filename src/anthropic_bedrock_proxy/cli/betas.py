"""`betas`: which beta flags, body fields and service tiers may be sent to which model.

A verdict stands over models.toml. It is the operator's, given here, or learned from a refusal of
Bedrock's; the operator's is never replaced by a learned one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click
import msgspec

from ..config import Settings
from ..errors import ProxyError
from ..protocol.capabilities import DIALECTS
from ..store.base import Store, StoreError
from ..store.records import ANY, CapabilityOverride, ModelMapping
from .catalog import load, registry_for
from .common import config_option, json_option, print_json, print_table, with_store
from .values import timestamp

if TYPE_CHECKING:
    from ..gateway.routing import Target

_NAMES: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._*-]{0,127}")
Kind = Literal["beta", "field", "tier"]

field_option = click.option(
    "--field", "kind", flag_value="field", help="A body field (a.b, a.*.b), not a beta flag."
)
tier_option = click.option(
    "--tier", "kind", flag_value="tier", help="A service tier, not a beta flag."
)
model_option = click.option("--model", metavar="MODEL", help="Only for this model.")
dialect_option = click.option(
    "--dialect", type=click.Choice([*DIALECTS, ANY]), help="Only in this dialect."
)


def _name(text: str) -> str:
    if not _NAMES.fullmatch(text):
        raise click.BadParameter(f"{text!r} is not the name of one flag or field")
    return text


def verdict_options(command: Callable[..., None]) -> Callable[..., None]:
    """What the commands about one verdict take."""
    for option in (
        config_option,
        json_option,
        tier_option,
        field_option,
        dialect_option,
        model_option,
        click.argument("name", metavar="FLAG", type=_name),
    ):
        command = option(command)
    return command


@click.group()
def command() -> None:
    """Which beta flags and body fields reach which model."""


@command.command("list")
@model_option
@field_option
@tier_option
@json_option
@config_option
def list_(*, model: str | None, kind: Kind | None, as_json: bool, config_file: Path | None) -> None:
    """List the verdicts; with --model, also what the built-in table says of it."""
    settings = load(config_file)

    async def read(store: Store) -> tuple[Sequence[CapabilityOverride], Sequence[ModelMapping]]:
        return await store.catalog.overrides(), await store.catalog.mappings()

    overrides, mappings = with_store(config_file, read)
    kind = kind or "beta"
    ids = [*_ids(settings, mappings, model), ANY] if model else None
    rows = [
        _document(override)
        for override in overrides
        if override.kind == kind and (ids is None or override.model in ids)
    ]
    if kind == "beta":
        rows += _of_settings(settings)
        if model:
            rows += _of_table(settings, mappings, model)
    if as_json:
        print_json({f"{kind}s": rows})
        return
    print_table(
        (kind.upper(), "VERDICT", "MODEL", "DIALECT", "SOURCE", "REASON"),
        [
            (
                row["name"],
                "allow" if row["allowed"] else "block",
                row["model"],
                row["dialect"],
                row["source"],
                row["reason"],
            )
            for row in rows
        ],
    )


@command.command()
@verdict_options
@click.option("--reason", default="", help="Why; kept with the verdict.")
def allow(**options: Any) -> None:
    """Send FLAG, whatever the built-in table says."""
    _put(allowed=True, **options)


@command.command()
@verdict_options
@click.option("--reason", default="", help="Why; kept with the verdict.")
def block(**options: Any) -> None:
    """Leave FLAG out, whatever the built-in table says."""
    _put(allowed=False, **options)


@command.command()
@verdict_options
def forget(
    *,
    name: str,
    model: str | None,
    dialect: str | None,
    kind: Kind | None,
    as_json: bool,
    config_file: Path | None,
) -> None:
    """Take back every verdict on FLAG, learned or given; --model and --dialect narrow it down."""
    settings = load(config_file)
    kind = kind or "beta"

    async def remove(store: Store) -> list[CapabilityOverride]:
        catalog = store.catalog
        ids = _ids(settings, await catalog.mappings(), model) if model else None
        found = [
            override
            for override in await catalog.overrides()
            if (override.kind, override.name) == (kind, name)
            and (ids is None or override.model in ids)
            and dialect in (None, override.dialect)
        ]
        removed = [override for override in found if await catalog.remove_override(override.key)]
        if not removed:
            raise StoreError(f"there is no such verdict on the {kind} {name}")
        return removed

    removed = with_store(config_file, remove)
    if as_json:
        print_json({"forgotten": [_document(override) for override in removed]})
        return
    for override in removed:
        click.echo(f"the verdict on {name} for {_where(override)} is forgotten")


def _put(
    *,
    allowed: bool,
    name: str,
    model: str | None,
    dialect: str | None,
    kind: Kind | None,
    reason: str,
    as_json: bool,
    config_file: Path | None,
) -> None:
    settings = load(config_file)

    async def put(store: Store) -> CapabilityOverride:
        mappings = await store.catalog.mappings() if model else ()
        override = CapabilityOverride(
            model=_ids(settings, mappings, model or ANY, dialect)[0],
            dialect=dialect or ANY,
            kind=kind or "beta",
            name=name,
            allowed=allowed,
            source="operator",
            reason=reason,
            updated_at=int(time.time()),
        )
        await store.catalog.put_override(override)
        return override

    override = with_store(config_file, put)
    if as_json:
        print_json(_document(override))
        return
    verb = "is sent" if allowed else "is left out"
    click.echo(f"{name} {verb} for {_where(override)}")


def _where(override: CapabilityOverride) -> str:
    model = "every model" if override.model == ANY else override.model
    return f"{model} in {'every dialect' if override.dialect == ANY else override.dialect}"


def _ids(
    settings: Settings,
    mappings: Sequence[ModelMapping],
    model: str,
    dialect: str | None = None,
) -> list[str]:
    """The ids that verdicts on a model are kept under: bedrock-mantle may have one of its own.

    Raises `click.ClickException` for a model that is not known.
    """
    if model == ANY:
        return [ANY]
    from ..gateway.routing import DEFAULT_PLACE, base_model_id  # noqa: PLC0415  # heavy

    registry = registry_for(settings, mappings)
    try:
        route = registry.route(model)
        targets: Sequence[Target] = route.targets
        if dialect and dialect != ANY:
            targets = [registry.target(route, DEFAULT_PLACE, dialect)]
    except ProxyError as error:
        raise click.ClickException(f"{model} cannot be routed: see `models list --all`") from error
    return list(dict.fromkeys(base_model_id(target.bedrock_model_id) for target in targets))


def _of_settings(settings: Settings) -> Iterator[dict[str, Any]]:
    models = settings.models
    for name in models.beta_headers_passthrough:
        yield _row(name, allowed=True, source="settings", reason="BETA_HEADERS_PASSTHROUGH")
    for name in models.beta_headers_blocklist:
        yield _row(name, allowed=False, source="settings", reason="BETA_HEADERS_BLOCKLIST")
    for name, others in models.beta_header_mapping.items():
        reason = f"BETA_HEADER_MAPPING: sent as {', '.join(others)}"
        yield _row(name, allowed=True, source="settings", reason=reason)


def _of_table(
    settings: Settings, mappings: Sequence[ModelMapping], model: str
) -> Iterator[dict[str, Any]]:
    from ..gateway.routing import base_model_id  # noqa: PLC0415  # heavy

    route = registry_for(settings, mappings).route(model)
    # The places of a chain differ in neither.
    for target in {target.dialect: target for target in reversed(route.targets)}.values():
        for name in sorted(target.capabilities.betas | target.capabilities.on_use):
            row = _row(name, allowed=True, source="table", reason="")
            model = base_model_id(target.bedrock_model_id)
            yield {**row, "model": model, "dialect": target.dialect}


def _row(name: str, *, allowed: bool, source: str, reason: str) -> dict[str, Any]:
    return {
        "name": name,
        "model": ANY,
        "dialect": ANY,
        "allowed": allowed,
        "source": source,
        "reason": reason,
        "updated_at": None,
    }


def _document(override: CapabilityOverride) -> dict[str, Any]:
    document = msgspec.structs.asdict(override)
    return {**document, "updated_at": timestamp(override.updated_at)}
