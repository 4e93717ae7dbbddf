"""Holds: the part of its budgets that a request keeps from its beginning to its end.

Theory of operation: with BUDGET_HOLDS=`off` nothing, with `max` the most that it may cost. With
`expected`, what such requests of this key and model have cost: the estimated price of its input,
times what input has cost of its estimate (less where the cache is read, more for a PDF), and the
output that is usual. Of the output the mean and the mean deviation are kept, both moving (a new
request counts an eighth, and a quarter, as TCP estimates the time of a round trip: RFC 6298). Usual
is the mean and twice the deviation: requests that vary are expected to be large, those that are
alike are expected as they are. While nothing is known, the first requests are expected to write
`FIRST_OUTPUT` tokens; none more than its `max_tokens`.

Example: outputs of 100, 100 and 900 tokens

    first   mean 100, deviation 50     usual 200
    second  mean 100, deviation 37.5   usual 175
    third   mean 200, deviation 228    usual 656
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from ...bounded import Bounded
from ...models.registry import Target
from ...protocol.request.messages import MessagesRequest
from ...protocol.tokens import estimate_quickly
from .pricing import Pricing

HoldMode = Literal["off", "expected", "max"]

FIRST_OUTPUT: Final = 4096
_MEAN_PART: Final = 1 / 8
_DEVIATION_PART: Final = 1 / 4
_DEVIATIONS: Final = 2
_MAX_REMEMBERED: Final = 4096
_MOST_FACTOR: Final = 100.0
_PER: Final = 1_000_000  # tokens that a rate is for


class _Usual(msgspec.Struct, gc=False):
    """The moving means of what the requests of a key have taken from a model."""

    mean: float  # output tokens
    deviation: float
    input_factor: float  # what input has cost of its estimate


class Amount(msgspec.Struct, frozen=True, gc=False):
    """Nano-dollars to hold, and those of them that estimate the input at the full rate."""

    nano: int
    input_nano: int = 0


NOTHING: Final = Amount(0)


class Holds:
    """The amounts to hold, learnt from the requests of one worker that have ended."""

    def __init__(self, mode: HoldMode, pricing: Pricing) -> None:
        self.mode = mode
        self._pricing = pricing
        self._seen: Bounded[tuple[str, str], _Usual] = Bounded(_MAX_REMEMBERED)

    def amount(self, key_id: str, targets: Sequence[Target], request: MessagesRequest) -> Amount:
        """Returns what to hold for a model call on any of `targets`."""
        if self.mode == "off":
            return NOTHING
        if self.mode == "max":
            return Amount(max(self._pricing.most(target, request) for target in targets))
        given = estimate_quickly(*request.fields.values())
        asked = request.view.max_tokens
        most = asked if isinstance(asked, int) else 0
        if len(targets) == 1:
            return self._expected(key_id, targets[0], given, most)
        return max(
            (self._expected(key_id, target, given, most) for target in targets),
            key=lambda amount: amount.nano,
        )

    def learn(
        self, key_id: str, target: Target, output_tokens: int, cost_nano: int, input_nano: int
    ) -> None:
        """Takes note of what a request has used; `input_nano` is that of its `Amount`."""
        rates = self._pricing.rates(target)
        if self.mode != "expected" or rates is None or not input_nano:
            return
        spent = cost_nano - output_tokens * rates.output // _PER
        factor = min(max(spent, 0) / input_nano, _MOST_FACTOR)
        key = (key_id, target.bedrock_model_id)
        seen = self._seen.get(key)
        if seen is None:
            self._seen[key] = _Usual(output_tokens, output_tokens / 2, factor)
            return
        difference = output_tokens - seen.mean
        seen.deviation += (abs(difference) - seen.deviation) * _DEVIATION_PART
        seen.mean += difference * _MEAN_PART
        seen.input_factor += (factor - seen.input_factor) * _MEAN_PART

    def _expected(self, key_id: str, target: Target, given: int, most: int) -> Amount:
        rates = self._pricing.rates(target)
        if rates is None:
            return NOTHING
        seen = self._seen.get((key_id, target.bedrock_model_id))
        usual, factor = float(FIRST_OUTPUT), 1.0
        if seen is not None:
            usual, factor = seen.mean + _DEVIATIONS * seen.deviation, seen.input_factor
        input_nano = given * rates.input // _PER
        output_nano = min(usual, most) * rates.output / _PER
        return Amount(int(input_nano * factor + output_nano), input_nano)
