"""Cost of an answer in integer nano-dollars. Pure; rounded up once, at the end.

Sources: Anthropic's prices of prompt caching (read 0.1, write 1.25 for five minutes, 2 for an hour,
times input), its batch discount (half), and the tier multipliers that the predecessor billed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ...models.prices import Price
from ...money import nano_rounded_up, nano_rounded_up_or_none
from .metering import Iteration, Usage

LONG_TOKENS: Final = 200_000  # a prompt of more has the rates `above`, where a model has them
_PER: Final = 1_000_000  # tokens that a rate is for
_WHOLE: Final = 1000  # multipliers are thousandths
# Whatever is not listed (default, standard, reserved) costs what the table says.
_FACTORS: Final = {"flex": 500, "priority": 1750, "batch": 500}


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Nano-dollars per million tokens of each kind."""

    input: int
    output: int
    cache_read: int
    cache_write: int  # for five minutes
    cache_write_1h: int
    above: Rates | None = None  # for a whole request whose prompt has more than `LONG_TOKENS`
    special: Mapping[str, Rates] = {}  # of `batch` and tiers that have not the customary factor

    @classmethod
    def of(
        cls,
        *,
        input: int,  # noqa: A002  # the name of the field
        output: int,
        cache_read: int | None = None,
        cache_write: int | None = None,
        cache_write_1h: int | None = None,
        above: Rates | None = None,
        special: Mapping[str, Rates] | None = None,
    ) -> Rates:
        """Makes rates; one not given has Anthropic's customary ratio to `input`."""
        return cls(
            input=input,
            output=output,
            cache_read=-(-input // 10) if cache_read is None else cache_read,
            cache_write=-(-input * 5 // 4) if cache_write is None else cache_write,
            cache_write_1h=input * 2 if cache_write_1h is None else cache_write_1h,
            above=above,
            special=special or {},
        )

    @property
    def dearest_input(self) -> int:
        """Returns the highest rate of a prompt token, whatever the cache does with it."""
        return max(self.input, self.cache_read, self.cache_write, self.cache_write_1h)


def rates_of(price: Price) -> Rates:
    """Converts a listed price (dollars) to rates."""
    rates = Rates.of(
        input=nano_rounded_up(price.input),
        output=nano_rounded_up(price.output),
        cache_read=nano_rounded_up_or_none(price.cache_read),
        cache_write=nano_rounded_up_or_none(price.cache_write),
        cache_write_1h=nano_rounded_up_or_none(price.cache_write_1h),
    )
    above = None
    if price.long_input is not None and price.long_output is not None:
        above = Rates.of(
            input=nano_rounded_up(price.long_input),
            output=nano_rounded_up(price.long_output),
            cache_read=nano_rounded_up_or_none(price.long_cache_read),
            cache_write=nano_rounded_up_or_none(price.long_cache_write),
        )
    named = {
        "batch": (price.batch_input, price.batch_output),
        "flex": (price.flex_input, price.flex_output),
        "priority": (price.priority_input, price.priority_output),
    }
    special = {
        name: _special(
            rates, nano_rounded_up_or_none(input_), nano_rounded_up_or_none(output), _factor(name)
        )
        for name, (input_, output) in named.items()
        if input_ is not None or output is not None
    }
    return msgspec.structs.replace(rates, above=above, special=special)


def _special(rates: Rates, input_: int | None, output: int | None, factor: int) -> Rates:
    """Makes the rates of a tier of which one amount or both are listed."""

    def usual(rate: int) -> int:
        return -(-rate * factor // _WHOLE)

    return Rates(
        input=usual(rates.input) if input_ is None else input_,
        output=usual(rates.output) if output is None else output,
        cache_read=usual(rates.cache_read),
        cache_write=usual(rates.cache_write),
        cache_write_1h=usual(rates.cache_write_1h),
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
    if rates.above is not None and _longest_prompt(usage) > LONG_TOKENS:
        rates = rates.above
    factor = _WHOLE * _WHOLE
    for name in (tier or "", "batch" if batch else ""):
        if (special := rates.special.get(name)) is not None:
            rates = special
        else:
            factor = factor * _factor(name) // _WHOLE
    total = (
        (usage.input_tokens or 0) * rates.input
        + output_tokens * rates.output
        + (usage.cache_read_input_tokens or 0) * rates.cache_read
        + short * rates.cache_write
        + long * rates.cache_write_1h
    )
    return -(-total * factor // (_PER * _WHOLE * _WHOLE))


def most_nano(input_tokens: int, output_tokens: int, rates: Rates) -> int:
    """Returns the most that a request may cost in any tier: a hold is never too small."""
    if rates.above is not None and input_tokens > LONG_TOKENS:
        rates = rates.above
    total = input_tokens * rates.dearest_input + output_tokens * rates.output
    totals = [total * max(_FACTORS.values())]
    for special in rates.special.values():
        total = input_tokens * special.dearest_input + output_tokens * special.output
        totals.append(total * _WHOLE)
    return -(-max(totals) // (_PER * _WHOLE))


def _factor(name: str) -> int:
    """Returns the thousandths of the standard rates that a tier, or a batch, costs."""
    return _FACTORS.get(name, _WHOLE)


def _longest_prompt(usage: Usage) -> int:
    """Counts the tokens of the longest prompt: that of one pass, of an answer that took several."""
    passes: list[Usage | Iteration] = [*(usage.iterations or ())] or [usage]
    return max(
        (made.input_tokens or 0)
        + (made.cache_read_input_tokens or 0)
        + (made.cache_creation_input_tokens or 0)
        for made in passes
    )
