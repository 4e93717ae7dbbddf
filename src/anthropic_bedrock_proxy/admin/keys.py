"""API keys. A secret is in the answer that made it and nowhere else."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..errors import InvalidRequestError
from ..store.base.callers import LISTS, KeyRecord, NewSecret
from ..store.base.errors import NoSuchObjectError
from ..store.secrets import UNKNOWN_HINT, hash_secret, hint_of, mint_key_id, mint_secret
from . import patterns
from .allowances import AllowanceBody, Name, changes
from .budget_warnings import budget_warnings
from .call import AdminCall, Change, Nothing
from .documents import document, recorded
from .moments import moment_ms
from .providers import check_provider
from .scopes import Actor, check_grant, check_reach, gains
from .validation import field

LONGEST_OVERLAP_SECONDS: Final = 366 * 24 * 3600
Pattern = Annotated[str, Meta(min_length=1, max_length=200, pattern=patterns.NO_SPACES)]
Network = Annotated[str, Meta(min_length=1, max_length=64, pattern=patterns.VISIBLE)]
# Few enough for one record, and the audit of its change, in any store: DynamoDB takes 400 KB.
Patterns = Annotated[tuple[Pattern, ...], Meta(max_length=100)]
Networks = Annotated[tuple[Network, ...], Meta(max_length=1000)]
Owner = Annotated[str, Meta(min_length=1, max_length=200)]


class KeyBody(AllowanceBody, frozen=True, kw_only=True):
    """The settings that a key may be given at any time."""

    user_id: Owner | UnsetType | None = UNSET
    team_id: Owner | UnsetType | None = UNSET
    expires_at: str | UnsetType | None = UNSET
    service_tier: Literal["default", "flex", "priority", "reserved"] | UnsetType | None = UNSET
    cache_ttl: Literal["5m", "1h"] | UnsetType | None = UNSET
    provider: str | UnsetType | None = UNSET
    allowed_models: Patterns | UnsetType | None = UNSET
    allowed_tools: Patterns | UnsetType | None = UNSET
    allowed_networks: Networks | UnsetType | None = UNSET
    admin_scopes: Patterns | UnsetType | None = UNSET


class NewKey(KeyBody, frozen=True, kw_only=True):
    """A key to make, with a new secret or, by its hash, with one that clients have already.

    The latter is how keys of another gateway move over; `secret_hint` is what people know them by.
    With `is_active` false the key is revoked from the beginning: a second request could get lost.
    """

    name: Name
    secret_sha256: Annotated[str, Meta(pattern=patterns.SHA256)] | UnsetType = UNSET
    secret_hint: Annotated[str, Meta(pattern=patterns.HINT)] | UnsetType = UNSET
    is_active: bool | UnsetType = UNSET


class KeyCreation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The conditions of a creation: as `first`, only where there is no key yet."""

    first: bool = False


class ChangedKey(KeyBody, frozen=True, kw_only=True):
    """Changes of a key's settings."""

    name: Name | UnsetType = UNSET


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rotation: the seconds for which the old secret goes on working."""

    overlap_seconds: Annotated[int, Meta(ge=0, le=LONGEST_OVERLAP_SECONDS)] = 0


class KeyQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A page of keys, perhaps of one user or team."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: str | None = None
    user_id: str | None = None
    team_id: str | None = None


async def list_(call: AdminCall[Nothing, KeyQuery]) -> dict[str, Any]:
    """Lists keys, oldest first; `next` is the `after` of the page that follows."""
    query, after = call.query, call.query.after
    keys: list[KeyRecord] = []
    while len(keys) <= query.limit:  # one more tells whether there are others
        try:
            page = await call.store.keys.list(after=after, limit=query.limit + 1)
        except NoSuchObjectError as error:
            raise InvalidRequestError(f"after: {error}") from error
        keys += [
            key
            for key in page
            if query.user_id in (None, key.user_id) and query.team_id in (None, key.team_id)
        ]
        if len(page) <= query.limit:
            break
        after = page[-1].id
    shown = keys[: query.limit]
    more = len(keys) > query.limit
    return {"keys": [document(key) for key in shown], "next": shown[-1].id if more else None}


async def get(call: AdminCall[Nothing, Nothing]) -> dict[str, Any]:
    """Returns one key."""
    return document(await _key(call))


async def create(call: AdminCall[NewKey, KeyCreation]) -> Change:
    """Makes a key; a secret that was made for it is in the answer, this once."""
    fields = await _fields(call, call.body)
    kept, secret = _new_secret(fields)
    if not fields.get("is_active", True):
        fields["deactivated_reason"] = "revoked"
    key = KeyRecord(
        id=mint_key_id(),
        secret_hint=kept.hint,
        created_at=call.now,
        updated_at=call.now,
        **fields,
    )
    check_reach(call.actor, key)
    await call.store.keys.create(key, kept.hash, first=call.query.first)
    warnings = await budget_warnings(call, fields, key.allowed_models)
    told = {} if secret is None else {"id": key.id, "key": secret}
    return Change(
        document=told | document(key) | warnings,
        object=key.id,
        after=recorded(key),
        status=201,
    )


def _new_secret(fields: dict[str, Any]) -> tuple[NewSecret, str | None]:
    """Takes the secret of a new key out of its fields, or makes one and returns its text, too.

    Raises `InvalidRequestError`.
    """
    digest, hint = fields.pop("secret_sha256", None), fields.pop("secret_hint", None)
    if digest is None:
        if hint is not None:
            raise InvalidRequestError("secret_hint: belongs to secret_sha256")
        secret = mint_secret()
        return NewSecret(hash_secret(secret), hint_of(secret)), secret
    if fields.get("admin_scopes"):  # which a secret of elsewhere must not open
        raise InvalidRequestError(
            "secret_sha256: a key with admin scopes gets a secret that is made here"
        )
    return NewSecret(bytes.fromhex(digest), hint or UNKNOWN_HINT), None


async def update(call: AdminCall[ChangedKey, Nothing]) -> Change:
    """Changes the given settings; null takes one away.

    A key that may administer more by it gets another secret, which is in the answer, this once.
    """
    fields = await _fields(call, call.body)
    if not fields:
        raise InvalidRequestError("body: nothing to change: give at least one field")
    return await _changed(call, fields)


async def revoke(call: AdminCall[Nothing, Nothing]) -> Change:
    """Makes a key stop working."""
    return await _changed(call, {"is_active": False, "deactivated_reason": "revoked"})


async def reactivate(call: AdminCall[Nothing, Nothing]) -> Change:
    """Makes a revoked key work again."""
    return await _changed(call, {"is_active": True, "deactivated_reason": None})


async def rotate(call: AdminCall[Rotation, Nothing]) -> Change:
    """Gives a key another secret, which is in the answer, this once."""
    secret = mint_secret()
    judgement = _KeyJudgement(call.actor)
    after = await call.store.keys.rotate(
        call.parts["id"],
        NewSecret(hash_secret(secret), hint_of(secret), call.body.overlap_seconds),
        now=call.now,
        judge=judgement.judge,
    )
    return _done(judgement, after, secret)


class _KeyJudgement:
    """Judges whether an actor may change a key, and keeps the key as it was before."""

    def __init__(self, actor: Actor, secret: str | None = None) -> None:
        """`secret` is for a key that gains rights by the change; by default it keeps its own."""
        self._actor = actor
        self._secret = secret
        self.before: KeyRecord | None = None
        self.gained = False

    def judge(self, before: KeyRecord, after: KeyRecord) -> NewSecret | None:
        """See `KeyJudge`. Raises `PermissionDeniedError`."""
        check_reach(self._actor, before)
        check_reach(self._actor, after)
        self.before = before
        self.gained = self._secret is not None and gains(before, after)
        if self._secret is None or not self.gained:
            return None
        return NewSecret(hash_secret(self._secret), hint_of(self._secret))


async def _changed(call: AdminCall[Any, Any], fields: dict[str, Any]) -> Change:
    secret = mint_secret()
    judgement = _KeyJudgement(call.actor, secret)
    after = await call.store.keys.update(
        call.parts["id"], fields, now=call.now, judge=judgement.judge
    )
    warnings = await budget_warnings(call, fields, after.allowed_models)
    return _done(judgement, after, secret if judgement.gained else None, warnings)


def _done(
    judgement: _KeyJudgement,
    after: KeyRecord,
    secret: str | None,
    warnings: Mapping[str, list[str]] | None = None,
) -> Change:
    told = {} if secret is None else {"id": after.id, "key": secret}
    return Change(
        document=told | document(after) | dict(warnings or {}),
        object=after.id,
        before=None if judgement.before is None else recorded(judgement.before),
        after=recorded(after),
    )


async def _key(call: AdminCall[Any, Any]) -> KeyRecord:
    key = await call.store.keys.get(call.parts["id"])
    if key is None:
        raise NoSuchObjectError(f"no key has the id {call.parts['id']}")
    return key


async def _fields(call: AdminCall[Any, Any], body: KeyBody) -> dict[str, Any]:
    """Checks what was given, and returns it as fields of the record."""
    fields = changes(body)
    if (expires_at := fields.get("expires_at")) is not None:
        fields["expires_at"] = field("expires_at", moment_ms, expires_at) // 1000
    for name in LISTS:  # cleared, these are empty and not null
        if name in fields:
            fields[name] = fields[name] or ()
    for number, network in enumerate(fields.get("allowed_networks", ())):
        field(f"allowed_networks[{number}]", ipaddress.ip_network, network)
    check_grant(call.actor, fields.get("admin_scopes", ()))
    await check_provider(call, fields.get("provider"))
    return fields
