"""Input and output of operations: calls, changes, documents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from ..models.prices import PriceList
from ..models.registry import Registry
from ..store.base.catalog import ModelMapping, PriceRecord, SyncedPrices
from ..store.base.store import Store
from ..store.sealing import Seal
from ..telemetry.request_log.record import RequestRecord
from .scopes import Actor

B = TypeVar("B")
Q = TypeVar("Q")


class HeldPrices(msgspec.Struct, frozen=True):
    """The prices that the store holds."""

    own: Sequence[PriceRecord]
    synced: SyncedPrices | None


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the settings that operations show or check against."""

    # The models under the stored and the fetched names; to be used before the next `await`, as
    # there is only one.
    registry: Callable[[Sequence[ModelMapping], Mapping[str, str]], Registry]
    seal: Seal
    prices: PriceList  # the shipped ones
    # The names without a price under some prices, that keys of some allowed models may ask for.
    unpriced: Callable[[Registry, HeldPrices, Sequence[str]], Sequence[str]] = lambda *_: ()
    refuses_unpriced: bool = False
    model_mapping: Mapping[str, str] = {}
    providers: Mapping[str, Mapping[str, str]] = {}
    betas_passed: Sequence[str] = ()
    betas_blocked: Sequence[str] = ()
    betas_mapped: Mapping[str, Sequence[str]] = {}
    # The record of a request that this machine has served, by its id.
    find_request: Callable[[str], Awaitable[RequestRecord | None]]


class AdminCall(msgspec.Struct, Generic[B, Q], frozen=True, kw_only=True):
    """One call of an operation; `now` in epoch seconds, `parts` from the path."""

    store: Store
    site: Site
    actor: Actor
    now: int
    parts: Mapping[str, str]
    body: B
    query: Q


async def known_models(call: AdminCall[Any, Any]) -> Registry:
    """Returns the models as a running proxy knows them: see `Site.registry`."""
    catalog = call.store.catalog
    stored, fetched = await catalog.mappings(), await catalog.synced_mappings()
    return call.site.registry(stored, fetched.mappings if fetched is not None else {})


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body or query that says nothing."""


class SyncQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A query of what is synced; `dry_run`: only tell what would change."""

    dry_run: bool = False


def counts(report: Mapping[str, Any]) -> str:
    """Words how much of what is synced came, changed and went."""
    return ", ".join(f"{len(report[kind])} {kind}" for kind in ("new", "changed", "gone"))


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a writing operation: the answer is `document`, the rest for the audit log."""

    document: Any
    object: str
    before: Mapping[str, Any] | None = None  # as `documents.recorded` gives it
    after: Mapping[str, Any] | None = None
    status: int = 200


class TextDocument(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is no JSON document."""

    body: bytes
    content_type: str
    next: str | None = None  # the `after` of the page that follows
