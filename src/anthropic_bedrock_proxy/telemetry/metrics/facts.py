"""The facts that are counted: what a series of each kind holds, and by which labels it is found.

A series is a row of numbers. A plain number takes one place; a histogram has a place for each of
its buckets, one for what is beyond them, and one for the sum. Metrics are made of facts when they
are read (families.py): several may be read off one number, so that a request is counted once.

    kind "upstream", labels (model, provider, operation, code, error)
    place   0 … 14             15    16 … 30                31
            duration, by size  sum   first chunk, by size   sum
"""

from __future__ import annotations

from typing import Final

import msgspec

Buckets = tuple[float, ...]  # upper bounds, ascending

# Source: semantic conventions for generative AI, gen_ai.client.inference.duration.
GENAI: Final[Buckets] = tuple(0.01 * 2**power for power in range(14))
# Source: the same, gen_ai.server.time_to_first_token and …time_per_output_token.
FIRST_TOKEN: Final[Buckets] = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1),
    *(0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
PER_TOKEN: Final[Buckets] = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5),
)
HTTP: Final[Buckets] = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)
OVERHEAD: Final[Buckets] = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
)


class FactKind(msgspec.Struct, frozen=True):
    """A kind of series: its labels, and its numbers in their order (None: a plain one)."""

    name: str
    labels: tuple[str, ...]
    numbers: dict[str, Buckets | None]

    @property
    def width(self) -> int:
        """Returns how many places a series of it takes."""
        return sum(_width(buckets) for buckets in self.numbers.values())

    def place(self, number: str) -> int:
        """Returns where a number stands in a series."""
        place = 0
        for name, buckets in self.numbers.items():
            if name == number:
                return place
            place += _width(buckets)
        raise KeyError(number)


def _width(buckets: Buckets | None) -> int:
    return 1 if buckets is None else len(buckets) + 2


REQUEST: Final = FactKind(  # every answer, of every route
    "http", ("method", "endpoint", "status"), {"duration": HTTP}
)
MODEL: Final = FactKind(  # every request for which Bedrock was asked
    "model",
    ("model", "bedrock_model", "provider", "dialect", "stream", "error", "key"),
    {
        "duration": GENAI,
        "first_token": FIRST_TOKEN,
        "per_token": PER_TOKEN,
        "processing": OVERHEAD,
        "responding": OVERHEAD,
        "input": None,
        "output": None,
        "cache_read": None,
        "cache_write": None,
        "cost_nano": None,
        "unpriced": None,
    },
)
UPSTREAM: Final = FactKind(  # every HTTP request to Bedrock
    "upstream",
    ("model", "provider", "operation", "code", "error"),  # error: the code, unless that is ok
    {"duration": GENAI, "first_chunk": GENAI},
)
EVENT: Final = FactKind("event", ("event", "first", "second", "third"), {"count": None})
STATE: Final = FactKind("state", ("state", "first", "second"), {"value": None})  # set, not added up

KINDS: Final = {kind.name: kind for kind in (REQUEST, MODEL, UPSTREAM, EVENT, STATE)}
OTHER: Final = "other"  # the label of what has no series of its own
