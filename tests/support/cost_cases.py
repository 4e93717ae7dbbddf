"""What answers cost, computed by hand from the price list: the one table for every path.

Claude Sonnet 4.5, US dollars per million tokens: input 3, output 15, cache read 0.30, cache write
3.75 (five minutes) and 6 (an hour). So a token costs 3000, 15 000, 300, 3750 and 6000 nano-dollars.
"""

from __future__ import annotations

from typing import Any, NamedTuple

SONNET = "claude-sonnet-4-5"


class CostCase(NamedTuple):
    """`usage` as Anthropic writes it; `nano` what the answer costs."""

    usage: dict[str, Any]
    nano: int | None
    tier: str | None = None
    batch: bool = False
    cache_ttl: str | None = None  # of the key
    model: str = SONNET
    price: tuple[int, int] | None = None  # the operator's: input, output, nano per million


PLAIN = {"input_tokens": 1000, "output_tokens": 500}
WRITTEN = {"input_tokens": 0, "output_tokens": 1, "cache_creation_input_tokens": 2000}


def _split(short: int, long: int) -> dict[str, int]:
    return {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long}


CASES = {
    # 1000 * 3000 + 500 * 15 000
    "plain": CostCase(PLAIN, 10_500_000),
    # 10 * 3000 + 20 * 15 000 + 100 000 * 300
    "cache read": CostCase(
        {"input_tokens": 10, "output_tokens": 20, "cache_read_input_tokens": 100_000}, 30_330_000
    ),
    # 100 * 3000 + 50 * 15 000 + 2000 * 3750
    "five minutes": CostCase(
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "cache_creation_input_tokens": 2000,
            "cache_creation": _split(2000, 0),
        },
        8_550_000,
    ),
    # 100 * 3000 + 50 * 15 000 + 2000 * 6000
    "an hour": CostCase(
        {
            "input_tokens": 100,
            "output_tokens": 50,
            "cache_creation_input_tokens": 2000,
            "cache_creation": _split(0, 2000),
        },
        13_050_000,
    ),
    # 7 * 3000 + 11 * 15 000 + 3000 * 300 + 1500 * 3750 + 500 * 6000
    "mixed": CostCase(
        {
            "input_tokens": 7,
            "output_tokens": 11,
            "cache_read_input_tokens": 3000,
            "cache_creation_input_tokens": 2000,
            "cache_creation": _split(1500, 500),
        },
        9_711_000,
    ),
    # 15 000 + 2000 * 3750
    "not split": CostCase(WRITTEN, 7_515_000),
    # 15 000 + 2000 * 6000
    "not split, key writes for an hour": CostCase(WRITTEN, 12_015_000, cache_ttl="1h"),
    # half of plain
    "flex": CostCase(PLAIN, 5_250_000, tier="flex"),
    # 1.75 times plain
    "priority": CostCase(PLAIN, 18_375_000, tier="priority"),
    "reserved": CostCase(PLAIN, 10_500_000, tier="reserved"),
    "unpriced": CostCase(PLAIN, None, model="anthropic.claude-3-9"),
    # 1000 * 1 + 500 * 2
    "the operator's price": CostCase(PLAIN, 2000, price=(1_000_000, 2_000_000)),
    # one token at 75 nano-dollars, half of it, rounded up
    "rounded up": CostCase(
        {"input_tokens": 1, "output_tokens": 0}, 38, tier="flex", price=(75_000_000, 0)
    ),
    # half of plain
    "batch": CostCase(PLAIN, 5_250_000, batch=True),
    # three quarters and an eighth: half of priority
    "batch, priority": CostCase(PLAIN, 9_187_500, tier="priority", batch=True),
}
