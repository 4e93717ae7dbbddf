"""The first look of `serve` at its store: whether it can be used, and the first key.

A key is made for a person at a terminal only, once in the life of a store: of several that start at
once, one makes it.
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from ..aws.resolver.resolver import Resolver
from ..config import Settings
from ..errors import ConflictError, ProxyError
from ..store.base.errors import StoreError
from ..store.base.store import Store

_LOOK_SECONDS: Final = 3.0  # clients that have connected wait for it


class FirstKey(NamedTuple):
    """The key that was made just now, if one was; `keyless`: the store has none."""

    secret: str | None = None
    keyless: bool = False


def first_key(settings: Settings, store: Store, resolver: Resolver, *, person: bool) -> FirstKey:
    """Looks for keys where that matters, and makes the first one for a person.

    Raises `NotPreparedError` for a store that waiting does not mend, and `StoreError`.
    """
    # Who has the master key needs no hint.
    wanted = settings.auth.require_api_key and (person or settings.auth.master_api_key is None)
    if not wanted and settings.store.url != "dynamodb://":
        return FirstKey()

    async def look() -> FirstKey:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await store.open()
                if not wanted or await store.keys.list(limit=1):
                    return FirstKey()
            if not person:
                return FirstKey(keyless=True)
            return FirstKey(await _made(settings, store))
        except TimeoutError:
            raise StoreError("no answer in time") from None
        finally:
            await store.close()
            await resolver.close()

    return asyncio.run(look())


async def _made(settings: Settings, store: Store) -> str | None:
    """Makes a key as `keys create` does, so that the audit log tells of it; returns the secret.

    None: another process has made it meanwhile.
    """
    from ..admin.scopes import LOCAL  # noqa: PLC0415  # once in the life of a store
    from ..admin.table import PREFIX  # noqa: PLC0415
    from ..app.admin import build_admin  # noqa: PLC0415

    body = b'{"name": "first key"}'
    try:
        api = build_admin(settings, store)
        _, made = await api.dispatch(LOCAL, "POST", f"{PREFIX}keys", {"first": "true"}, body)
    except ConflictError:
        return None
    except ProxyError as error:
        raise StoreError(error.message) from error
    secret: str = made["key"]
    return secret
