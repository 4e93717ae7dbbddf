"""The price of a target at a moment: the operator's from the store, else the shipped one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from ..protocol.capabilities import Model
from ..protocol.cost import Rates, rates_of
from ..store.records import PriceRecord
from .routing import Target, base_model_id

_MAX_REMEMBERED: Final = 1024
_FOREVER: Final = float("inf")


class _Known(msgspec.Struct, frozen=True):
    rates: Rates | None
    until: float  # when another price begins, epoch seconds


class Pricing:
    """Rates by target, resolved once and remembered until they change.

    `unpriced` counts, by Bedrock model, the answers that no price was known for.
    """

    def __init__(
        self,
        find: Callable[[str], Model | None],
        region_of: Callable[[str], str],
        *,
        now: Callable[[], float],
    ) -> None:
        """`find` the model behind a Bedrock id or ARN; `region_of` a place."""
        self._find = find
        self._region_of = region_of
        self._now = now
        self._stored: Mapping[str, list[PriceRecord]] = {}
        self._known: dict[tuple[str, str], _Known] = {}
        self.unpriced: dict[str, int] = {}

    def replace_stored(self, prices: Iterable[PriceRecord]) -> None:
        """Takes over what the store holds."""
        stored: dict[str, list[PriceRecord]] = {}
        for price in prices:
            stored.setdefault(price.model, []).append(price)
        self._stored = stored
        self._known.clear()

    def rates(self, target: Target) -> Rates | None:
        """The rates of a target now; None: nobody knows."""
        key = (target.bedrock_model_id, target.place)
        known = self._known.get(key)
        if known is None or known.until <= self._now():
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            known = self._known[key] = self._resolve(*key)
        return known.rates

    def count_unpriced(self, target: Target) -> None:
        """Notes that an answer of this target has no price; bounded, as clients name the models."""
        name = target.bedrock_model_id
        if name in self.unpriced or len(self.unpriced) < _MAX_REMEMBERED:
            self.unpriced[name] = self.unpriced.get(name, 0) + 1

    def _resolve(self, bedrock_model_id: str, place: str) -> _Known:
        model = self._find(bedrock_model_id)
        names = {base_model_id(bedrock_model_id), bedrock_model_id}
        if model is not None:
            names |= {model.id, model.bedrock, *model.aliases}
        region, now = self._region_of(place), self._now()
        candidates = [
            price
            for name in names
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
            # A region's own price beats the general one, a later one an earlier.
            best = max(valid, key=lambda price: (price.region != "*", price.valid_from))
            return _Known(_rates(best), until)
        shipped = model.price if model is not None else None
        return _Known(rates_of(shipped) if shipped is not None else None, until)


def _rates(price: PriceRecord) -> Rates:
    return Rates.of(
        input=price.input_nano,
        output=price.output_nano,
        cache_read=price.cache_read_nano,
        cache_write=price.cache_write_nano,
        cache_write_1h=price.cache_write_1h_nano,
    )
