"""The price of a target at a moment: the operator's, else the last sync's, else the shipped one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from ...bounded import Bounded
from ...models.geography import base_model_id
from ...models.prices import PriceList, find_price
from ...models.registry import Target
from ...models.table import Model
from ...protocol.answer.cost import Rates, most_nano, rates_of
from ...protocol.request.bounds import bound_tokens
from ...protocol.request.messages import MessagesRequest
from ...store.base.catalog import PriceRecord, SyncedPrices

_MAX_REMEMBERED: Final = 1024
_FOREVER: Final = float("inf")
_UNKNOWN_SECONDS: Final = 10.0  # when to look again: what is behind an ARN is learned
_LARGE_CONTEXT: Final = "context-1m-2025-08-07"
_LARGE_CONTEXT_TOKENS: Final = 1_000_000


class _KnownRates(msgspec.Struct, frozen=True):
    rates: Rates | None
    until: float  # when another price begins, epoch seconds


class Pricing:
    """Rates by target, resolved once and remembered until they change."""

    def __init__(
        self,
        find: Callable[[str], Model | None],
        region_of: Callable[[str], str],
        shipped: PriceList,
        *,
        now: Callable[[], float],
    ) -> None:
        """`find` the model behind an id or ARN, `region_of` a provider; `shipped`: our list."""
        self._find = find
        self._region_of = region_of
        self._shipped = shipped
        self._synced: SyncedPrices | None = None
        self._lists = [shipped]
        self._now = now
        self._stored: Mapping[str, list[PriceRecord]] = {}
        self._known: Bounded[tuple[str, str, str], _KnownRates] = Bounded(_MAX_REMEMBERED)

    def replace_stored(
        self, prices: Iterable[PriceRecord], synced: SyncedPrices | None = None
    ) -> None:
        """Takes over what the store holds: the operator's prices, and the list of the last sync."""
        stored: dict[str, list[PriceRecord]] = {}
        for price in prices:
            stored.setdefault(price.model, []).append(price)
        self._stored = stored
        if synced != self._synced:
            self._synced = synced
            synced_list = [PriceList(lambda: synced.text)] if synced is not None else []
            self._lists = [*synced_list, self._shipped]
        self._known.clear()

    def rates(self, target: Target) -> Rates | None:
        """Returns the rates of a target now; None: nobody knows."""
        key = (target.bedrock_model_id, target.provider, target.dialect)
        known = self._known.get(key)
        if known is None or known.until <= self._now():
            known = self._known[key] = self._resolve(*key)
        return known.rates

    def most(self, target: Target, request: MessagesRequest) -> int:
        """Returns the most that a call of a target may cost, in nano-dollars; 0 without a price."""
        rates = self.rates(target)
        if rates is None:
            return 0
        model, capabilities = self._find(target.bedrock_model_id), target.capabilities
        context = model.context_tokens if model is not None else _LARGE_CONTEXT_TOKENS
        if _LARGE_CONTEXT in capabilities.betas:
            context = max(context, _LARGE_CONTEXT_TOKENS)
        asked = request.view.max_tokens
        output = asked if isinstance(asked, int) else 0
        if capabilities.output_tokens is not None:  # to which it is lowered for the model
            output = min(output, capabilities.output_tokens)
        given, written = bound_tokens(request, context_tokens=context, output_tokens=max(1, output))
        return most_nano(given, written, rates)

    def _resolve(self, bedrock_model_id: str, provider: str, dialect: str) -> _KnownRates:
        model = self._find(bedrock_model_id)
        names = [bedrock_model_id, base_model_id(bedrock_model_id)]
        if model is not None:
            names += [model.bedrock, model.id, *model.aliases]
        region, now = self._region_of(provider), self._now()
        candidates = [
            price
            for name in dict.fromkeys(names)
            for price in self._stored.get(name, ())
            if price.region in (region, "*")
        ]
        until = min(
            (
                moment
                for price in candidates
                for moment in (price.valid_from, price.valid_until)
                if moment is not None and moment > now
            ),
            default=_FOREVER,
        )
        valid = [
            price
            for price in candidates
            if price.valid_from <= now and (price.valid_until is None or now < price.valid_until)
        ]
        if valid:
            # A region's own price beats the general one, a later one an earlier, and of two names
            # Bedrock's beats ours: in every worker the same one.
            best = max(valid, key=lambda price: (price.region != "*", price.valid_from))
            return _KnownRates(_rates(best), until)
        bases = list(dict.fromkeys(map(base_model_id, names)))
        listed = find_price(self._lists, bases, dialect, region, called=bedrock_model_id)
        if listed is not None:
            return _KnownRates(rates_of(listed), until)
        return _KnownRates(None, min(until, now + _UNKNOWN_SECONDS))


def _rates(price: PriceRecord) -> Rates:
    return Rates.of(
        input=price.input_nano,
        output=price.output_nano,
        cache_read=price.cache_read_nano,
        cache_write=price.cache_write_nano,
        cache_write_1h=price.cache_write_1h_nano,
    )
