"""The admin API: finds the operation for a request, checks its actor, runs it, records changes."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from ..errors import (
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ProxyError,
    UnavailableError,
)
from ..router import Router, method_not_allowed
from ..store.base.audit import AuditRecord
from ..store.base.callers import KeyRecord
from ..store.base.errors import AlreadyExistsError, NoSuchObjectError, StoreError
from ..store.base.store import Store
from ..store.sealing import SealingError
from .call import AdminCall, Change, Site
from .scopes import LOCAL, MASTER, SCHEDULE, Actor
from .table import Operation, by_path
from .validation import read_body, read_query

_log = logging.getLogger("anthropic_bedrock_proxy.admin")


class AuthorisedOperation(msgspec.Struct, frozen=True):
    """An operation that its actor may run, and the variable parts of the path."""

    operation: Operation
    actor: Actor
    parts: Mapping[str, str]


class AdminAPI:
    """The operations over one store."""

    def __init__(self, store: Store, site: Site, *, now: Callable[[], float] = time.time) -> None:
        """`now` in epoch seconds."""
        self._store = store
        self._site = site
        self._now = now
        self._router = Router(by_path().items())
        # Ids of audit records: in the order of time, and unlike those of other processes.
        self._id_suffix = os.urandom(6).hex()
        self._id_count = itertools.count(1)
        self._writing: set[asyncio.Task[tuple[int, Any]]] = set()

    async def dispatch(
        self, actor: Actor, method: str, path: str, query: Mapping[str, str], body: bytes
    ) -> tuple[int, Any]:
        """Runs one request; `path` is percent-encoded. Returns (status, document).

        Raises `ProxyError`.
        """
        return await self.run(self.authorise(actor, method, path.encode()), query, body)

    def authorise(self, actor: Actor, method: str, raw_path: bytes) -> AuthorisedOperation:
        """Returns the operation asked for. Raises `ProxyError` unless `actor` may run it."""
        if not actor.scopes:
            raise PermissionDeniedError("This key may not use the admin API: it has no scopes.")
        path = raw_path.decode("latin-1")
        methods, parts = self._router.find(path, raw_path)
        operation = methods.get(method)
        if operation is None:
            raise method_not_allowed(path, methods)
        if not actor.may((operation.scope,)):
            raise PermissionDeniedError(f"This key lacks the scope {operation.scope}.")
        return AuthorisedOperation(operation, actor, parts)

    async def _check_actor(self, actor: Actor) -> None:
        """Raises `ConflictError` if the actor's key has changed since its request began.

        A body may take long to arrive: a request begun with a key must not outlive its revocation.
        """
        if actor in (MASTER, LOCAL, SCHEDULE):
            return
        key = await self._store.keys.get(actor.id)
        if key is None or Actor.of_key(key) != actor or not await self._works(key):
            raise ConflictError("Your own key was changed after this request began: send it again.")

    async def _works(self, key: KeyRecord) -> bool:
        """Tells whether a key, its user and its team are in use."""
        if not key.is_active or (key.expires_at is not None and key.expires_at <= self._now()):
            return False
        for kind, owner_id in (("user", key.user_id), ("team", key.team_id)):
            owner = None if owner_id is None else await self._store.owners.get(kind, owner_id)
            if owner is not None and not owner.is_active:
                return False
        return True

    async def run(
        self, match: AuthorisedOperation, query: Mapping[str, str], body: bytes | bytearray
    ) -> tuple[int, Any]:
        """Runs what `authorise` found; returns (status, document). Raises `ProxyError`."""
        operation = match.operation
        call: AdminCall[Any, Any] = AdminCall(
            store=self._store,
            site=self._site,
            actor=match.actor,
            now=int(self._now()),
            parts=match.parts,
            body=read_body(body if operation.writes else b"", operation.body),
            query=read_query(query, operation.query),
        )
        if not operation.writes:
            return await self._finish(match, call)
        # Runs to its end though the client may leave: else the record of the change could be lost.
        task = asyncio.create_task(self._finish(match, call))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)

    async def _finish(
        self, match: AuthorisedOperation, call: AdminCall[Any, Any]
    ) -> tuple[int, Any]:
        try:
            if match.operation.writes:
                await self._check_actor(match.actor)
            result = await match.operation.run(call)
        except StoreError as error:
            raise _translated(error) from error
        if not isinstance(result, Change):
            return 200, result
        await self._record(match, result)
        return result.status, result.document

    async def _record(self, match: AuthorisedOperation, change: Change) -> None:
        at_ms = int(self._now() * 1000)
        record = AuditRecord(
            id=f"aud_{at_ms:011x}{self._id_suffix}{next(self._id_count):06x}",
            at_ms=at_ms,
            actor=match.actor.id,
            action=match.operation.name,
            object=change.object,
            before=None if change.before is None else dict(change.before),
            after=None if change.after is None else dict(change.after),
        )
        try:
            await self._store.audit.append(record)
        except StoreError as error:
            # The record has no secrets in it, and the log is the only place left for it.
            _log.critical("not in the audit log: %s", msgspec.json.encode(record).decode())
            raise UnavailableError(
                f"{record.action} of {record.object} was done, but the audit log did not take it: "
                f"{error}",
                cause="unavailable:store",
            ) from error


def _translated(error: StoreError) -> ProxyError:
    """Translates a store's refusal into the error that a client sees."""
    message = str(error)
    if isinstance(error, NoSuchObjectError):
        return NotFoundError(message)
    if isinstance(error, AlreadyExistsError):
        return ConflictError(message)
    if isinstance(error, SealingError):
        return InvalidRequestError(message)
    return UnavailableError(message, retry_after=1.0, cause="unavailable:store")
