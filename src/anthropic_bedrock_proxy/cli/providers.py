"""`providers`: accounts and regions beside the default one.

Their credentials are read from stdin or the environment, never from an argument, because arguments
are seen in process lists and shell histories. They are stored encrypted and shown masked.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from ..config import Settings
from ..store.base import Store, StoreError
from ..store.records import ProviderRecord
from ..store.sealing import ProviderCredentials, Seal, SealingError, mask
from .catalog import load, unknown_provider
from .common import config_option, json_option, print_json, print_table, with_store
from .provider_input import NAME, REGION, ROLE, read_credentials, url
from .values import timestamp

_UNREADABLE: Final = "****"


@click.group()
def command() -> None:
    """Accounts and regions beside the default one."""


@command.command("list")
@json_option
@config_option
def list_(*, as_json: bool, config_file: Path | None) -> None:
    """List the providers of the store and of the settings; credentials are masked."""
    settings = load(config_file)
    stored = with_store(config_file, lambda store: store.catalog.providers())
    seal = Seal(settings.failover.encryption_secret)
    rows = [_document(record, _masked(record, seal)) for record in stored]
    names = {record.name for record in stored}
    rows += [
        _configured(name, fields)
        for name, fields in settings.failover.providers.items()
        if name not in names
    ]
    if as_json:
        print_json({"providers": rows})
        return
    print_table(
        ("NAME", "REGION", "CREDENTIALS", "ROLE", "ENDPOINT", "STATUS", "SOURCE"),
        [
            (
                row["name"],
                row["region"],
                row["credentials"] or row["profile"],
                row["role_arn"],
                row["endpoint_url"],
                "enabled" if row["is_enabled"] else "disabled",
                row["source"],
            )
            for row in rows
        ],
    )


@command.command()
@click.argument("name", type=NAME)
@click.option("--region", required=True, type=REGION, metavar="REGION", help="Its AWS region.")
@click.option("--endpoint-url", type=url, help="Its bedrock-runtime endpoint.")
@click.option("--mantle-endpoint-url", type=url, help="Its bedrock-mantle endpoint.")
@click.option("--role-arn", type=ROLE, metavar="ARN", help="Assume this role for it.")
@click.option("--external-id", help="The external id that the role asks for.")
@click.option("--profile", help="A profile of the AWS configuration files.")
@click.option("--access-key-id", help="Its secret is read from stdin or the environment.")
@click.option("--bearer-token-stdin", is_flag=True, help="Read an Amazon Bedrock API key.")
@click.option("--replace", is_flag=True, help="Replace the provider if there is one.")
@json_option
@config_option
def add(
    *,
    name: str,
    access_key_id: str | None,
    bearer_token_stdin: bool,
    replace: bool,
    as_json: bool,
    config_file: Path | None,
    **fields: Any,
) -> None:
    """Add a provider. Without credentials of its own it uses the default ones.

    A secret is one line on stdin, or PROVIDER_SECRET_ACCESS_KEY or PROVIDER_BEARER_TOKEN in the
    environment.
    """
    if sum(map(bool, (access_key_id, bearer_token_stdin, fields["profile"]))) > 1:
        raise click.UsageError("give one of --access-key-id, --bearer-token-stdin and --profile")
    if fields["external_id"] and not fields["role_arn"]:
        raise click.UsageError("--external-id belongs to --role-arn")
    settings = load(config_file)
    if name in settings.failover.providers:
        raise click.ClickException(f"{name} is a provider of the settings (PROVIDERS) already")
    credentials = read_credentials(access_key_id, bearer_token_stdin)
    now = int(time.time())
    record = ProviderRecord(
        name=name,
        encrypted_credentials=_sealed(settings, credentials),
        created_at=now,
        updated_at=now,
        **fields,
    )

    async def put(store: Store) -> ProviderRecord:
        standing = await store.catalog.provider(name)
        if standing is not None and not replace:
            raise StoreError(f"there is a provider {name} already; --replace replaces it")
        created_at = standing.created_at if standing else now
        kept = msgspec.structs.replace(record, created_at=created_at)
        await store.catalog.put_provider(kept)
        return kept

    record = with_store(config_file, put)
    _print(_document(record, credentials.masked if credentials else None), as_json=as_json)


@command.command()
@click.argument("name")
@json_option
@config_option
def remove(*, name: str, as_json: bool, config_file: Path | None) -> None:
    """Remove a provider, with its credentials."""

    async def work(store: Store) -> None:
        bound = [key.id for key in await store.keys.list() if key.provider == name]
        if bound:
            raise StoreError(
                f"keys go to {name}: {', '.join(bound)}; give them another first with `keys update "
                "ID --provider NAME` (or none)"
            )
        if not await store.catalog.remove_provider(name):
            raise unknown_provider(name)

    with_store(config_file, work)
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        click.echo(f"{name} is removed")


@command.command()
@click.argument("name")
@json_option
@config_option
def enable(*, name: str, as_json: bool, config_file: Path | None) -> None:
    """Send requests to a provider again."""
    _switch(name, on=True, as_json=as_json, config_file=config_file)


@command.command()
@click.argument("name")
@json_option
@config_option
def disable(*, name: str, as_json: bool, config_file: Path | None) -> None:
    """Send no requests to a provider until `enable`."""
    _switch(name, on=False, as_json=as_json, config_file=config_file)


def _switch(name: str, *, on: bool, as_json: bool, config_file: Path | None) -> None:
    settings = load(config_file)

    async def work(store: Store) -> ProviderRecord:
        record = await store.catalog.provider(name)
        if record is None:
            raise unknown_provider(name)
        record = msgspec.structs.replace(record, is_enabled=on, updated_at=int(time.time()))
        await store.catalog.put_provider(record)
        return record

    record = with_store(config_file, work)
    masked = _masked(record, Seal(settings.failover.encryption_secret))
    _print(_document(record, masked), as_json=as_json)


def _sealed(settings: Settings, credentials: ProviderCredentials | None) -> bytes | None:
    if credentials is None:
        return None
    try:
        return Seal(settings.failover.encryption_secret).close(credentials)
    except SealingError as error:
        raise click.ClickException(str(error)) from error


def _masked(record: ProviderRecord, seal: Seal) -> str | None:
    if record.encrypted_credentials is None:
        return None
    try:
        return seal.open(record.encrypted_credentials).masked
    except SealingError as error:
        click.echo(f"{record.name}: {error}", err=True)
        return _UNREADABLE


def _document(record: ProviderRecord, masked: str | None) -> dict[str, Any]:
    document = msgspec.structs.asdict(record)
    del document["encrypted_credentials"]
    for field in ("created_at", "updated_at"):
        document[field] = timestamp(document[field])
    return {**document, "credentials": masked, "source": "store"}


def _configured(name: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """A provider of the settings, in the same shape."""
    secret = fields.get("bearer_token") or fields.get("access_key_id")
    names = set(ProviderRecord.__struct_fields__) - {"name", "encrypted_credentials", "is_enabled"}
    shown = {
        field: fields.get(field) for field in ProviderRecord.__struct_fields__ if field in names
    }
    masked = mask(secret) if secret else None
    return {"name": name, **shown, "is_enabled": True, "credentials": masked, "source": "settings"}


def _print(document: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    width = max(map(len, document))
    for name, value in document.items():
        click.echo(f"{name:<{width}}  {'-' if value is None else value}")
