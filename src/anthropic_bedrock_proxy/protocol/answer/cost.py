"""Cost of an answer in integer nano-dollars. Pure; rounded up once, at the end.

Sources: Anthropic's prices of prompt caching (read 0.1, write 1.25 for five minutes, 2 for an hour,
times input), its batch discount (half), and the tier multipliers that the predecessor billed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ...models.table import Price
from ...money import nano_rounded_up
from .metering import Usage

_PER: Final = 1_000_000  # tokens that a rate is for
_WHOLE: Final = 1000  # multipliers are thousandths
# Whatever is not listed (default, standard, reserved) costs what the table says.
_TIERS: Final = {"flex": 500, "priority": 1750}
_BATCH: Final = 500


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Nano-dollars per million tokens of each kind."""

    input: int
    output: int
    cache_read: int
    cache_write: int  # for five minutes
    cache_write_1h: int

    @classmethod
    def of(
        cls,
        *,
        input: int,  # noqa: A002  # the name of the field
        output: int,
        cache_read: int | None = None,
        cache_write: int | None = None,
        cache_write_1h: int | None = None,
    ) -> Rates:
        """Makes rates; one not given has Anthropic's customary ratio to `input`."""
        return cls(
            input=input,
            output=output,
            cache_read=-(-input // 10) if cache_read is None else cache_read,
            cache_write=-(-input * 5 // 4) if cache_write is None else cache_write,
            cache_write_1h=input * 2 if cache_write_1h is None else cache_write_1h,
        )

    @property
    def dearest_input(self) -> int:
        """Returns the highest rate of a prompt token, whatever the cache does with it."""
        return max(self.input, self.cache_read, self.cache_write, self.cache_write_1h)


def rates_of(price: Price) -> Rates:
    """Converts prices of models.toml (dollars) to rates."""
    return Rates.of(
        input=nano_rounded_up(price.input),
        output=nano_rounded_up(price.output),
        cache_read=None if price.cache_read is None else nano_rounded_up(price.cache_read),
        cache_write=None if price.cache_write is None else nano_rounded_up(price.cache_write),
    )


def cost_nano(
    usage: Usage,
    output_tokens: int,
    rates: Rates,
    *,
    tier: str | None = None,
    batch: bool = False,
    writes_for_an_hour: bool = False,
) -> int:
    """Returns the cost of one answer in nano-dollars.

    `output_tokens` may be an estimate; `tier` is the one that served it. Cache writes that
    `cache_creation` does not split by time to live are for five minutes, unless the operator has
    laid down an hour (`writes_for_an_hour`).
    """
    written = usage.cache_creation_input_tokens or 0
    split = usage.cache_creation
    short = long = 0
    if split is not None:
        short = split.ephemeral_5m_input_tokens or 0
        long = split.ephemeral_1h_input_tokens or 0
    if (rest := written - short - long) > 0:
        if writes_for_an_hour:
            long += rest
        else:
            short += rest
    total = (
        (usage.input_tokens or 0) * rates.input
        + output_tokens * rates.output
        + (usage.cache_read_input_tokens or 0) * rates.cache_read
        + short * rates.cache_write
        + long * rates.cache_write_1h
    )
    return -(-total * _multiplier(tier, batch=batch) // (_PER * _WHOLE * _WHOLE))


def most_nano(input_tokens: int, output_tokens: int, rates: Rates) -> int:
    """Returns the most that a request may cost in any tier: a hold is never too small."""
    total = input_tokens * rates.dearest_input + output_tokens * rates.output
    dearest = max(_TIERS, key=_TIERS.__getitem__)
    return -(-total * _multiplier(dearest, batch=False) // (_PER * _WHOLE * _WHOLE))


def _multiplier(tier: str | None, *, batch: bool) -> int:
    """Returns the factor of tier and batch in millionths."""
    return _TIERS.get(tier or "", _WHOLE) * (_BATCH if batch else _WHOLE)
