"""Accounts and regions beside the default one. Their credentials are kept sealed, shown masked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from ..errors import ConflictError, InvalidRequestError, PermissionDeniedError
from ..models.registry import DEFAULT_PROVIDER
from ..store.base.catalog import ProviderRecord
from ..store.base.errors import NoSuchObjectError
from ..store.sealing import ProviderCredentials, SealingError, mask
from . import patterns
from .call import AdminCall, Change, Nothing
from .documents import document, recorded
from .scopes import EVERYTHING, Actor
from .validation import field

_UNREADABLE: Final = "****"
_CREDENTIALS: Final = ("access_key_id", "secret_access_key", "session_token", "bearer_token")

# One word of printable ASCII: what a header can carry. Without "@": no password in an endpoint.
Secret = Annotated[str, Meta(min_length=1, max_length=4096, pattern=patterns.VISIBLE)]
Url = Annotated[str, Meta(max_length=2048, pattern=patterns.URL)]
Text = Annotated[str, Meta(min_length=1, max_length=1224)]


class NewProvider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider to add; without credentials of its own it uses the default ones."""

    name: Annotated[str, Meta(pattern=patterns.PROVIDER)]
    region: Annotated[str, Meta(pattern=patterns.REGION)]
    endpoint_url: Url | None = None
    mantle_endpoint_url: Url | None = None
    role_arn: Annotated[str, Meta(pattern=patterns.ROLE)] | None = None
    external_id: Text | None = None
    profile: Text | None = None
    access_key_id: Secret | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None
    bearer_token: Secret | None = None
    replace: bool = False

    def __repr__(self) -> str:
        return f"NewProvider({self.name})"


async def list_(call: AdminCall[Nothing, Nothing]) -> dict[str, Any]:
    """Lists the providers of the store and of the settings; `problems`: what cannot be unsealed."""
    stored = await call.store.catalog.providers()
    problems: list[str] = []
    rows = [_document(record, _masked(call, record, problems)) for record in stored]
    names = {record.name for record in stored}
    rows += [
        _configured(name, fields)
        for name, fields in call.site.providers.items()
        if name not in names
    ]
    return {"providers": rows, "problems": problems}


async def add(call: AdminCall[NewProvider, Nothing]) -> Change:
    """Adds a provider, or replaces one if asked to."""
    body = call.body
    credentials = _credentials(body)
    if body.external_id and not body.role_arn:
        raise InvalidRequestError("external_id: it belongs to a role_arn")
    _check_endpoints(call.actor, body)
    if body.name in call.site.providers:
        raise ConflictError(f"{body.name} is a provider of the settings (PROVIDERS) already")
    before = await call.store.catalog.provider(body.name)
    if before is not None and not body.replace:
        raise ConflictError(f"there is a provider {body.name} already; --replace replaces it")
    record = ProviderRecord(
        name=body.name,
        region=body.region,
        created_at=before.created_at if before else call.now,
        updated_at=call.now,
        endpoint_url=body.endpoint_url and body.endpoint_url.rstrip("/"),
        mantle_endpoint_url=body.mantle_endpoint_url and body.mantle_endpoint_url.rstrip("/"),
        role_arn=body.role_arn,
        external_id=body.external_id,
        profile=body.profile,
        encrypted_credentials=call.site.seal.close(credentials) if credentials else None,
    )
    await call.store.catalog.put_provider(record)
    return Change(
        document=_document(record, credentials.masked if credentials else None),
        object=record.name,
        before=_recorded(before) if before else None,
        after=_recorded(record),
        status=201,
    )


async def remove(call: AdminCall[Nothing, Nothing]) -> Change:
    """Removes a provider with its credentials."""
    before = await _provider(call)
    bound = [key.id for key in await call.store.keys.list() if key.provider == before.name]
    if bound:
        raise ConflictError(
            f"keys go to {before.name}: {', '.join(bound)}; give them another first with `keys "
            "update ID --provider NAME` (or none)"
        )
    if not await call.store.catalog.remove_provider(before.name):
        raise unknown_provider(before.name)
    return Change(
        document={"name": before.name, "removed": True},
        object=before.name,
        before=_recorded(before),
    )


async def enable(call: AdminCall[Nothing, Nothing]) -> Change:
    """Sends requests to a provider again."""
    return await _switch(call, on=True)


async def disable(call: AdminCall[Nothing, Nothing]) -> Change:
    """Sends no requests to a provider any more."""
    return await _switch(call, on=False)


async def check_provider(call: AdminCall[Any, Any], name: str | None) -> None:
    """Raises `NoSuchObjectError` unless requests may be sent to `name`, or it is None."""
    if name is None or name == DEFAULT_PROVIDER or name in call.site.providers:
        return
    if await call.store.catalog.provider(name) is None:
        raise unknown_provider(name)


def unknown_provider(name: str) -> NoSuchObjectError:
    """Makes the error for a name that no provider has."""
    return NoSuchObjectError(f"no provider is called {name[:200]}; see `providers list`")


async def _switch(call: AdminCall[Any, Any], *, on: bool) -> Change:
    before = await _provider(call)
    after = msgspec.structs.replace(before, is_enabled=on, updated_at=call.now)
    await call.store.catalog.put_provider(after)
    return Change(
        document=_document(after, _masked(call, after, [])),
        object=after.name,
        before=_recorded(before),
        after=_recorded(after),
    )


async def _provider(call: AdminCall[Any, Any]) -> ProviderRecord:
    record = await call.store.catalog.provider(call.parts["name"])
    if record is None:
        raise unknown_provider(call.parts["name"])
    return record


def _credentials(body: NewProvider) -> ProviderCredentials | None:
    """Returns the credentials to seal, None if there are none.

    Raises `InvalidRequestError` for half a pair or several kinds.
    """
    if (body.access_key_id is None) != (body.secret_access_key is None):
        raise InvalidRequestError("secret_access_key: it and access_key_id belong together")
    if body.session_token and not body.access_key_id:
        raise InvalidRequestError("session_token: it belongs to an access_key_id")
    if sum(map(bool, (body.access_key_id, body.bearer_token, body.profile))) > 1:
        raise InvalidRequestError("profile: give one of access_key_id, bearer_token and profile")
    if body.role_arn and body.bearer_token:
        raise InvalidRequestError("role_arn: a role cannot be assumed with a bearer_token")
    given = {name: value for name in _CREDENTIALS if (value := getattr(body, name))}
    return ProviderCredentials(**given) if given else None


def _check_endpoints(actor: Actor, body: NewProvider) -> None:
    """Raises `InvalidRequestError` for a bad URL, `PermissionDeniedError` without all scopes.

    The server at an endpoint is shown the credentials: the installation's own if the provider has
    none (a bearer token even in the clear). Only an actor with all scopes may give those away.
    """
    borrowed = not (body.access_key_id or body.bearer_token)
    for name, url in (
        ("endpoint_url", body.endpoint_url),
        ("mantle_endpoint_url", body.mantle_endpoint_url),
    ):
        if url is None:
            continue
        field(name, _check_url, url)
        if borrowed and not actor.may((EVERYTHING,)):
            raise PermissionDeniedError(
                f"{name}: a provider without credentials of its own sends the default ones there, "
                f"which takes the scope {EVERYTHING}"
            )


def _check_url(url: str) -> None:
    """Raises `ValueError` for a URL without a host or with a bad port."""
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0:  # asking for the port checks it
        raise ValueError("no host, or no port, is in it")


def _masked(call: AdminCall[Any, Any], record: ProviderRecord, problems: list[str]) -> str | None:
    if record.encrypted_credentials is None:
        return None
    try:
        return call.site.seal.open(record.encrypted_credentials).masked
    except SealingError as error:
        problems.append(f"{record.name}: {error}")
        return _UNREADABLE


def _document(record: ProviderRecord, masked: str | None) -> dict[str, Any]:
    return {**document(record), "credentials": masked, "source": "store"}


def _recorded(record: ProviderRecord) -> dict[str, Any]:
    """Renders a provider for the audit log: whether it has credentials, never which."""
    return {**recorded(record), "has_credentials": record.encrypted_credentials is not None}


def _configured(name: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Renders a provider of the settings in the shape of the store's."""
    secret = fields.get("bearer_token") or fields.get("access_key_id")
    shown = document(ProviderRecord(name=name, region="", created_at=0, updated_at=0))
    for column in shown.keys() - {"name", "is_enabled"}:
        shown[column] = fields.get(column)
    return {**shown, "credentials": mask(secret) if secret else None, "source": "settings"}
