"""Which models exist, how they are addressed, and what each generation accepts.

A rule of this file is a function of the generation `(major, minor)` and the family, because that
is how the differences run; single models never get a rule of their own unless they are the
family. Sources: the Bedrock model list and inference profile prefixes of AWS, the beta tables
collected from public proxies, what Claude Code itself sends to Bedrock per model (a client's
belief), and the Anthropic API reference for thinking, effort and prefill.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from .refusal import Refusal, invalid

Generation = tuple[int, int]

_BETA_RULES: tuple[tuple[str, Generation, Generation], ...] = (
    # flag, first and last generation that accept it on InvokeModel
    ("computer-use-2025-01-24", (3, 7), (9, 9)),
    ("computer-use-2025-11-24", (4, 5), (9, 9)),
    ("fine-grained-tool-streaming-2025-05-14", (3, 7), (9, 9)),
    ("interleaved-thinking-2025-05-14", (4, 0), (9, 9)),
    ("context-management-2025-06-27", (4, 5), (9, 9)),
    ("effort-2025-11-24", (4, 5), (9, 9)),
    ("tool-search-tool-2025-10-19", (4, 5), (9, 9)),
    ("tool-examples-2025-10-29", (4, 5), (9, 9)),
    ("compact-2026-01-12", (4, 6), (9, 9)),
    ("thinking-token-count-2026-05-13", (4, 7), (9, 9)),
    ("thinking-binding-controls-2026-08-01", (4, 7), (9, 9)),
    ("thinking-display-updates-2026-08-18", (4, 7), (9, 9)),
    ("mid-conversation-output-config-2026-07-01", (4, 7), (9, 9)),
    ("mid-conversation-tool-changes-2026-07-01", (4, 7), (9, 9)),
    ("dangerous-tool-use-2026-09-03", (4, 7), (9, 9)),
    # Accepted by 4.6, refused by Opus 4.7 from its first day.
    ("claude-code-20250219", (3, 5), (4, 6)),
    ("output-128k-2025-02-19", (3, 7), (4, 1)),
    ("token-efficient-tools-2025-02-19", (3, 7), (4, 1)),
    ("dev-full-thinking-2025-05-14", (4, 0), (4, 1)),
)
LONG_CONTEXT_BETA = "context-1m-2025-08-07"
# Converse takes fewer flags, plus one that InvokeModel refuses.
_CONVERSE_BETAS = frozenset(
    {
        "computer-use-2025-01-24",
        "computer-use-2025-11-24",
        LONG_CONTEXT_BETA,
        "effort-2025-11-24",
        "fine-grained-tool-streaming-2025-05-14",
    }
)
STRUCTURED_OUTPUTS_BETA = "structured-outputs-2025-11-13"


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model: `id` as Bedrock calls it, `name` as Anthropic (or its maker) does."""

    id: str
    name: str
    provider: str = "Anthropic"
    family: str = ""
    generation: Generation = (0, 0)
    prefixes: tuple[str, ...] = ()
    needs_profile: bool = True
    tools: bool = True
    forced_tools: bool = True

    @property
    def is_claude(self) -> bool:
        """Whether InvokeModel takes an Anthropic body."""
        return self.provider == "Anthropic"

    @property
    def always_thinks(self) -> bool:
        """Fable and Mythos refuse to have thinking switched off."""
        return self.family in ("fable", "mythos") and self.generation >= (5, 0)

    @property
    def takes_system_role(self) -> bool:
        """`role: system` inside `messages`: Opus 4.8 and everything after it but Sonnet 5."""
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
        """CountTokens serves the generations up to 4.6 only."""
        return self.is_claude and self.generation <= (4, 6)

    def accepts_beta(self, flag: str, *, converse: bool = False) -> bool:
        """Whether `flag` passes in `anthropic_beta` for this model and operation."""
        if converse and flag == STRUCTURED_OUTPUTS_BETA:
            return self.generation >= (4, 5)
        if converse and flag not in _CONVERSE_BETAS:
            return False
        if flag == LONG_CONTEXT_BETA:
            sonnet_4 = self.family == "sonnet" and self.generation in ((4, 0), (4, 5))
            return sonnet_4 or self.generation >= (4, 6)
        return flag in _betas(self.generation)


class Target(msgspec.Struct, frozen=True):
    """What a model identifier in the path stands for."""

    model: Model
    via_profile: bool


_BETA_CACHE: dict[Generation, frozenset[str]] = {}


def _betas(generation: Generation) -> frozenset[str]:
    known = _BETA_CACHE.get(generation)
    if known is None:
        known = frozenset(flag for flag, low, high in _BETA_RULES if low <= generation <= high)
        _BETA_CACHE[generation] = known
    return known


def _claude(name: str, tail: str, prefixes: str, *, on_demand: bool = False) -> Model:
    numbers = re.findall(r"-(\d{1,2})(?=-|$)", name)
    family = next(f for f in ("fable", "mythos", "opus", "sonnet", "haiku") if f in name)
    major, minor = [*numbers, "0", "0"][:2] if numbers else ("4", "7")  # mythos-preview
    return Model(
        id=f"anthropic.{name}{tail}",
        name=name,
        family=family,
        generation=(int(major), int(minor)),
        prefixes=tuple(prefixes.split()),
        needs_profile=not on_demand,
    )


_NEW = "us eu apac jp au global"
MODELS: tuple[Model, ...] = (
    _claude("claude-fable-5-2", "", "us global"),
    _claude("claude-mythos-5-2", "", "us global"),
    _claude("claude-fable-5-1", "", "us global"),
    _claude("claude-mythos-5-1", "", "us global"),
    _claude("claude-opus-5-5", "", _NEW),
    _claude("claude-sonnet-5-5", "", _NEW),
    _claude("claude-haiku-5-5", "", _NEW),
    _claude("claude-opus-5", "", _NEW),
    _claude("claude-sonnet-5", "", _NEW),
    _claude("claude-fable-5", "", "us global"),
    _claude("claude-mythos-5", "", "us global"),
    _claude("claude-opus-4-8", "", _NEW),
    _claude("claude-opus-4-7", "", _NEW),
    _claude("claude-mythos-preview", "", "us"),
    _claude("claude-opus-4-6", "-v1", "global us eu jp apac"),
    _claude("claude-sonnet-4-6", "", "global us eu jp"),
    _claude("claude-opus-4-5-20251101", "-v1:0", "global us eu"),
    _claude("claude-sonnet-4-5-20250929", "-v1:0", "global us eu jp au us-gov"),
    _claude("claude-haiku-4-5-20251001", "-v1:0", "global us eu jp au"),
    _claude("claude-opus-4-1-20250805", "-v1:0", "us"),
    _claude("claude-sonnet-4-20250514", "-v1:0", "global us eu apac"),
    _claude("claude-3-5-haiku-20241022", "-v1:0", "us", on_demand=True),
    _claude("claude-3-haiku-20240307", "-v1:0", "us eu apac", on_demand=True),
    Model(
        id="amazon.nova-micro-v1:0",
        name="nova-micro",
        provider="Amazon",
        prefixes=("us", "eu", "apac"),
        needs_profile=False,
    ),
    Model(
        id="amazon.nova-lite-v1:0",
        name="nova-lite",
        provider="Amazon",
        prefixes=("us", "eu", "apac"),
        needs_profile=False,
    ),
    Model(
        id="amazon.nova-pro-v1:0",
        name="nova-pro",
        provider="Amazon",
        prefixes=("us", "eu", "apac"),
        needs_profile=False,
    ),
    Model(
        id="meta.llama3-3-70b-instruct-v1:0",
        name="llama3-3-70b-instruct",
        provider="Meta",
        prefixes=("us",),
        forced_tools=False,
    ),
    Model(
        id="mistral.mistral-large-2402-v1:0",
        name="mistral-large-2402",
        provider="Mistral AI",
        needs_profile=False,
    ),
    Model(
        id="openai.gpt-oss-120b-1:0",
        name="gpt-oss-120b",
        provider="OpenAI",
        needs_profile=False,
        forced_tools=False,
    ),
    Model(
        id="amazon.titan-text-express-v1",
        name="titan-text-express",
        provider="Amazon",
        needs_profile=False,
        tools=False,
    ),
)
# An application inference profile has an opaque id: only GetInferenceProfile says what it is.
APPLICATION_PROFILES = {"sim0sonnet45": "us.anthropic.claude-sonnet-4-5-20250929-v1:0"}

_ARN = re.compile(
    r"arn:aws(?:-[a-z]+)*:bedrock:[a-z0-9-]+:(?:\d{12})?:"
    r"(foundation-model|inference-profile|application-inference-profile)/(.+)"
)


def _table() -> Iterator[tuple[str, Target]]:
    for model in MODELS:
        yield model.id, Target(model, via_profile=False)
        for prefix in model.prefixes:
            yield f"{prefix}.{model.id}", Target(model, via_profile=True)


TARGETS: dict[str, Target] = dict(_table())


def resolve(identifier: str) -> Target:
    """The model behind a base id, a profile id or an ARN. Raises `Refusal`."""
    target = TARGETS.get(identifier)
    if target is None and (arn := _ARN.fullmatch(identifier)):
        kind, name = arn.groups()
        if kind == "application-inference-profile":
            target = TARGETS.get(APPLICATION_PROFILES.get(name, ""))
            if target is None:
                raise Refusal("ResourceNotFoundException", "The inference profile was not found.")
        else:
            target = TARGETS.get(name)
            if target and target.via_profile is (kind == "foundation-model"):
                target = None
    if target is None:
        raise invalid("The provided model identifier is invalid.")
    return target


def resolve_for_inference(identifier: str) -> Model:
    """As `resolve`, and refuses a bare id of a model that has no on-demand throughput."""
    target = resolve(identifier)
    if target.model.needs_profile and not target.via_profile:
        raise invalid(
            f"Invocation of model ID {identifier} with on-demand throughput isn\u2019t supported. "
            "Retry your request with the ID or ARN of an inference profile that contains this "
            "model."
        )
    return target.model
