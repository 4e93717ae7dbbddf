"""Scopes of actors: `<resource>:read`, `<resource>:write`, or `admin` for everything.

`write` does not contain `read`. Nobody hands out, or lays hands on, more than it has itself: not
more scopes, and a key with scopes neither from more networks nor for longer; and no user or team
that such a key belongs to. Stores ask these checks inside their writes (`KeyJudge`, `OwnerJudge`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import collapse_addresses, ip_network
from typing import Any, Final

import msgspec

from ..errors import InvalidRequestError, PermissionDeniedError
from ..store.base.callers import KeyRecord

EVERYTHING: Final = "admin"
_READ_ONLY: Final = ("audit", "budgets", "requests", "usage")
_WRITABLE: Final = ("betas", "keys", "models", "prices", "providers", "teams", "users")
SCOPES: Final = frozenset(
    (
        EVERYTHING,
        *(f"{name}:read" for name in (*_READ_ONLY, *_WRITABLE)),
        *(f"{name}:write" for name in _WRITABLE),
    )
)


class Actor(msgspec.Struct, frozen=True):
    """The party that asks ("master", "cli" or the id of an admin key), and what it may do."""

    id: str
    scopes: frozenset[str]
    networks: tuple[str, ...] = ()  # CIDR; empty: from anywhere
    expires_at: int | None = None  # epoch seconds
    secret_hint: str = ""  # of a key: another after every rotation

    @classmethod
    def of_key(cls, key: KeyRecord) -> Actor:
        """Makes an actor of an API key, with the key's scopes and bounds."""
        scopes = frozenset(key.admin_scopes)
        return cls(key.id, scopes, key.allowed_networks, key.expires_at, key.secret_hint)

    def may(self, scopes: Iterable[str]) -> bool:
        """Tells whether the actor has all of these."""
        return EVERYTHING in self.scopes or self.scopes.issuperset(scopes)

    def outlives(self, key: KeyRecord) -> bool:
        """Tells whether the actor works for as long as `key` at least."""
        if self.expires_at is None:
            return True
        return key.expires_at is not None and key.expires_at <= self.expires_at

    def surrounds(self, key: KeyRecord) -> bool:
        """Tells whether the actor works from everywhere that `key` works from."""
        if not self.networks:
            return True
        return bool(key.allowed_networks) and _covers(self.networks, key.allowed_networks)


MASTER: Final = Actor("master", frozenset((EVERYTHING,)))
LOCAL: Final = Actor("cli", frozenset((EVERYTHING,)))  # whoever can open the store may do anything
# A worker that syncs by itself, as its operator has enabled it.
SCHEDULE: Final = Actor("schedule", frozenset(("prices:write", "models:write")))


def check_grant(actor: Actor, scopes: Iterable[str]) -> None:
    """Raises `InvalidRequestError` for unknown scopes, `PermissionDeniedError` for foreign ones."""
    for number, scope in enumerate(scopes):
        if scope not in SCOPES:
            known = ", ".join(sorted(SCOPES))
            raise InvalidRequestError(f"admin_scopes[{number}]: {scope[:100]!r} is none of {known}")
        if not actor.may((scope,)):
            raise PermissionDeniedError(
                f"admin_scopes[{number}]: only who has the scope {scope} may grant it"
            )


def gains(before: KeyRecord, after: KeyRecord) -> bool:
    """Tells whether a change lets a key administer more, or from further or for longer.

    Whoever knew a secret of it would have that too.
    """
    own = Actor.of_key(before)
    if not after.admin_scopes:
        return False
    return not (own.may(after.admin_scopes) and own.surrounds(after) and own.outlives(after))


def check_owned(actor: Actor, kind: str, owner_id: str, keys: Iterable[KeyRecord]) -> None:
    """Raises `PermissionDeniedError` for a user or team with a key that may do more than the actor.

    `keys` are those with admin scopes that name it: whoever changes it changes what they may do.
    """
    for key in keys:
        try:
            check_reach(actor, key)
        except PermissionDeniedError as error:
            raise PermissionDeniedError(
                f"the {kind} {owner_id} has a key that may do more than your own"
            ) from error


def check_reach(actor: Actor, key: KeyRecord) -> None:
    """Raises `PermissionDeniedError` for a key that may do more than the actor.

    To be asked of a key before and after a change: otherwise whoever steals a key that is bound to
    a network or a date makes itself one that is not.
    """
    if not actor.may(key.admin_scopes):
        raise PermissionDeniedError(f"{key.id} has scopes that your own key lacks")
    if not key.admin_scopes:
        return
    if not actor.surrounds(key):
        raise PermissionDeniedError(
            "allowed_networks: a key with admin scopes may not reach further than your own"
        )
    if not actor.outlives(key):
        raise PermissionDeniedError(
            "expires_at: a key with admin scopes may not last longer than your own"
        )


def _covers(outer: Iterable[str], inner: Iterable[str]) -> bool:
    """Tells whether every address of `inner` is one of `outer`.

    Keys may have a thousand networks, so the pairs are not compared one by one.
    """
    mine: list[Any] = [ip_network(text, strict=False) for text in outer]
    theirs: list[Any] = [ip_network(text, strict=False) for text in inner]
    for version in (4, 6):
        same: list[Any] = [net for net in mine if net.version == version]
        wide = list(collapse_addresses(same))
        starts = [int(net.network_address) for net in wide]
        for network in theirs:
            if network.version != version:
                continue
            place = bisect_right(starts, int(network.network_address)) - 1
            if place < 0 or network.broadcast_address not in wide[place]:
                return False
    return True
