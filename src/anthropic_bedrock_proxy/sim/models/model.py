"""One model: how it is addressed and what it accepts.

For Claude a rule is a function of the generation `(major, minor)` and the family, because that is
how the differences run; single models never get a rule of their own unless they are the family.
For everybody else the differences are what `Abilities` says, as data in `catalog.py`.
Sources: the Anthropic API reference for thinking, effort and prefill; the Bedrock model list.
"""

from __future__ import annotations

import msgspec

from ..anthropic.betas import Generation, Way, accepts


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of Converse that a model accepts. Defaults: a plain model with tools."""

    system: bool = True
    tools: bool = True
    streamed_tools: bool = True
    forced_tools: bool = False
    result_status: bool = False
    rich_results: bool = False
    mixed_results: bool = True
    images: bool = False
    documents: bool = False
    video: bool = False
    caching: bool = False
    reasoning_back: bool = False
    json_schema: bool = False


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model: `id` as Bedrock calls it, `name` as Anthropic (or its maker) does."""

    id: str
    name: str
    provider: str = "Anthropic"
    family: str = ""
    generation: Generation = (0, 0)
    prefixes: tuple[str, ...] = ()
    needs_profile: bool = True
    can: Abilities = Abilities()

    @property
    def is_claude(self) -> bool:
        """Tells whether it is a Claude, for which InvokeModel takes an Anthropic body."""
        return self.provider == "Anthropic"

    @property
    def serves_messages(self) -> bool:
        """Tells whether the Messages endpoints have it: Claude from 4.7 on, and Haiku 4.5."""
        haiku = self.family == "haiku" and self.generation == (4, 5)
        return self.is_claude and (haiku or self.generation >= (4, 7))

    @property
    def always_thinks(self) -> bool:
        """Tells whether thinking cannot be switched off: Fable and Mythos."""
        return self.family in ("fable", "mythos") and self.generation >= (5, 0)

    @property
    def takes_disabled(self) -> bool:
        """Tells whether thinking may be `disabled`: Opus and Sonnet 5.5 have `between_tools`."""
        return not self.always_thinks and self.can.forced_tools

    @property
    def takes_system_role(self) -> bool:
        """Tells whether `messages` may have `role: system`: from Opus 4.8 on, but Sonnet 5."""
        if self.family == "sonnet" and self.generation == (5, 0):
            return False
        return self.generation >= (4, 8)

    @property
    def effort_levels(self) -> tuple[str, ...]:
        """Levels of `output_config.effort`; empty when the model has none."""
        if self.generation >= (4, 7):
            return ("low", "medium", "high", "xhigh", "max")
        if self.generation == (4, 6):
            return ("low", "medium", "high", "max")
        opus_4_5 = self.family == "opus" and self.generation == (4, 5)
        return ("low", "medium", "high") if opus_4_5 else ()

    @property
    def service_tiers(self) -> tuple[str, ...]:
        """Tiers that can be asked for; the Claude models before 4 have the default one only."""
        if self.is_claude and self.generation < (4, 0):
            return ("default",)
        return ("default", "priority", "flex")

    @property
    def context_tokens(self) -> int:
        """Input tokens that fit; the long-context flag raises it on Sonnet 4 and 4.5."""
        return 1_000_000 if self.generation >= (4, 6) else 200_000

    @property
    def max_output_tokens(self) -> int:
        """The largest `max_tokens` that is accepted."""
        if self.generation >= (4, 6) or not self.is_claude:
            return 128_000
        if self.generation < (3, 7):
            return 8_192
        return 32_000 if self.family == "opus" and self.generation < (4, 5) else 64_000

    @property
    def counts_tokens(self) -> bool:
        """Tells whether CountTokens serves it: the generations up to 4.6."""
        return self.is_claude and self.generation <= (4, 6)

    def accepts_beta(self, flag: str, way: Way) -> bool:
        """Tells whether `flag` passes for this model on one of the ways to it."""
        return accepts(way, flag, self.generation, self.family)
