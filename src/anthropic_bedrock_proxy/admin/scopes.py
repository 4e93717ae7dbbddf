"""What an actor may do: `<resource>:read`, `<resource>:write`, or `admin` for everything.

`write` does not contain `read`. Nobody hands out, or lays hands on, more than it has itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from ..errors import InvalidRequestError, PermissionDeniedError
from ..store.records import KeyRecord

EVERYTHING: Final = "admin"
_READ_ONLY: Final = ("audit", "budgets", "usage")
_WRITABLE: Final = ("betas", "keys", "models", "prices", "providers", "teams", "users")
SCOPES: Final = frozenset(
    (
        EVERYTHING,
        *(f"{name}:read" for name in (*_READ_ONLY, *_WRITABLE)),
        *(f"{name}:write" for name in _WRITABLE),
    )
)


class Actor(msgspec.Struct, frozen=True):
    """Who asks: "master", "cli" or the id of an admin key, and what it may do."""

    id: str
    scopes: frozenset[str]

    @classmethod
    def of_key(cls, key: KeyRecord) -> Actor:
        """An API key with the scopes it was given."""
        return cls(key.id, frozenset(key.admin_scopes))

    def may(self, scopes: Iterable[str]) -> bool:
        """Whether it has all of these."""
        return EVERYTHING in self.scopes or self.scopes.issuperset(scopes)


MASTER: Final = Actor("master", frozenset((EVERYTHING,)))
LOCAL: Final = Actor("cli", frozenset((EVERYTHING,)))  # whoever can open the store may do anything


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


def check_reach(actor: Actor, key: KeyRecord) -> None:
    """Raises `PermissionDeniedError` for a key that may do more than the actor."""
    if not actor.may(key.admin_scopes):
        raise PermissionDeniedError(f"{key.id} has scopes that your own key lacks")
