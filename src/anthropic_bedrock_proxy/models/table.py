"""Capabilities of models on dialects, as data: parsed from models.toml.

Three names of a model are kept apart: the requested one (what the client says), Bedrock's (base
id, inference profile id or ARN) and the answered one (always the requested name again).
A generation is the unit of capability: what its models accept on every dialect, and per dialect
what comes on top (`features`, `betas`) or is missing there (`lacks`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import msgspec

LINES: Final = ("haiku", "sonnet", "opus", "fable", "mythos")  # of Claude
MAX_NAME: Final = 2048  # characters of a model's name: Bedrock's own bound of an id
DIALECTS: Final = ("invoke", "messages", "mantle", "converse")
# Every feature that models.toml may name, and what it says about a model on a dialect.
FEATURES: Final = {
    "auto_cache": "a top-level cache_control places the breakpoint by itself",
    "cache": "prompt cache breakpoints",
    "cache_1h": "breakpoints may live for an hour",
    "cache_tools": "prompt cache breakpoints in tools, on a model that is no Claude",
    "citations": "documents and search results may be cited",
    "claude": "the model is a Claude: Anthropic's own fields reach it on every dialect",
    "documents": "document blocks",
    "effort": "output_config.effort",
    "effort_max": "effort max",
    "effort_xhigh": "effort xhigh",
    "effort_beta": "output_config.effort, together with its beta flag",
    "forced_tools": "tool_choice any and tool",
    "images": "image blocks",
    "mixed_results": "Converse: other blocks may stand beside tool results in a message",
    "prefill": "the last message may be the assistant's",
    "reasoning_effort": "Converse: reasoning is asked for as reasoning_effort low|medium|high",
    "reasoning_nova": "Converse: reasoning is asked for as Amazon Nova's reasoningConfig",
    "rich_results": "Converse: images and documents inside tool results",
    "sampling": "temperature, top_p and top_k",
    "search_results": "search_result blocks",
    "streamed_tools": "Converse: tools in a streamed request",
    "structured_output": "output_config.format",
    "system": "a system prompt",
    "system_role": "role system inside the conversation",
    "thinking_adaptive": "thinking.type adaptive",
    "thinking_between_tools": "thinking.type between_tools",
    "thinking_disabled": "thinking.type disabled",
    "thinking_display": "thinking.display",
    "thinking_enabled": "thinking.type enabled, with a budget",
    "tool_changes": "tool_addition and tool_removal blocks",
    "tool_result_status": "Converse: toolResult.status",
    "tool_search": "tool_search tools, defer_loading and tool_reference",
    "tools": "tools",
    "top_k_k": "Converse: top_k is called k",
    "top_k_none": "no top_k at all",
    "top_k_nova": "Converse: top_k is inferenceConfig.topK",
}


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the registry. Windows in tokens, `created_at` a date (YYYY-MM-DD)."""

    id: str
    display_name: str
    bedrock: str
    created_at: str = "1970-01-01"
    generation: str
    profiles: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    lifecycle: str = "active"  # where `ends_at` does not tell it: see `lifecycle_on`
    ends_at: str | None = None  # the day on which AWS takes it away
    context_tokens: int = 200_000
    output_tokens: int = 64_000
    count_tokens: bool = False  # Bedrock's CountTokens serves it
    dialects: tuple[str, ...] = ()  # in order of preference; empty: the generation's
    mantle: str | None = None  # its id on bedrock-mantle, where that differs from `bedrock`
    lacks: frozenset[str] = frozenset()  # features that its generation has and it has not
    price_names: tuple[str, ...] = ()  # in AWS's price list, where not `display_name`

    def lifecycle_on(self, day: date) -> str:
        """Tells whether it is `active`, `deprecated` (its end is known) or `retired` on a day."""
        if self.ends_at is None:
            return self.lifecycle
        return "retired" if day.isoformat() >= self.ends_at else "deprecated"


def line_of(model_id: str) -> str | None:
    """Returns the line of a Claude, by its id; None for what is none."""
    return next((line for line in LINES if line in model_id), None)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Betas and features that a dialect adds to a generation, and those that it lacks."""

    betas: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()  # features and betas


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """One generation of models: the betas and features they accept; `on` differs by dialect."""

    betas: frozenset[str] = frozenset()
    on_use: frozenset[str] = frozenset()  # flags sent only with the feature that needs them
    features: frozenset[str] = frozenset()
    dialects: tuple[str, ...] = ()
    on: dict[str, Difference] = {}
    extends: str | None = None


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """The betas and features that one model accepts on one dialect."""

    dialect: str
    betas: frozenset[str] = frozenset()
    on_use: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    output_tokens: int | None = None  # the most that one answer may have; None: not known


class BetaTable(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about beta flags that hold for every model."""

    mapping: dict[str, tuple[str, ...]] = {}
    needed_for: dict[str, str] = {}


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """Base ids that Bedrock has, but on no dialect of ours."""

    mantle_openai: frozenset[str] = frozenset()  # bedrock-mantle, in the API of OpenAI alone


class ModelTable(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of models.toml."""

    model: tuple[Model, ...]
    generation: dict[str, Generation]
    betas: BetaTable = BetaTable()
    families: dict[str, str] = {}  # prefix of a base id that is not listed -> its generation
    elsewhere: Elsewhere = Elsewhere()


def parse_table(data: Mapping[str, Any]) -> ModelTable:
    """Checks the parsed file. Raises msgspec.ValidationError or ValueError."""
    table = msgspec.convert(data, ModelTable)
    generations = {name: _inherit(table.generation, name) for name in table.generation}
    for name, generation in generations.items():
        _check(name, generation)
    for prefix, name in table.families.items():
        if name not in generations:
            raise ValueError(f"family {prefix} names an unknown generation {name}")
    seen: set[str] = set()
    for model in table.model:
        if model.generation not in generations:
            raise ValueError(f"model {model.id} names an unknown generation {model.generation}")
        if unknown := set(model.dialects).difference(DIALECTS):
            raise ValueError(f"model {model.id} names an unknown dialect {unknown.pop()}")
        bedrock_ids = {model.bedrock, model.mantle or model.bedrock} - {model.id}
        for name in (model.id, *model.aliases, *bedrock_ids):
            if name in seen:
                raise ValueError(f"the model name {name} stands twice")
            seen.add(name)
    return msgspec.structs.replace(table, generation=generations)


def capabilities_on(
    generation: Generation, dialect: str, model: Model | None = None
) -> Capabilities:
    """Joins what a generation says with its dialect's and a model's differences.

    `model` is None for one that the table does not list.
    """
    difference = generation.on.get(dialect, Difference())
    missing = difference.lacks | (model.lacks if model else frozenset())
    return Capabilities(
        dialect=dialect,
        betas=(generation.betas | difference.betas) - missing,
        on_use=generation.on_use - missing,
        features=(generation.features | difference.features) - missing,
        output_tokens=model.output_tokens if model else None,
    )


def _check(name: str, generation: Generation) -> None:
    """Raises ValueError for an unknown feature or dialect: surely a misprint."""
    features = generation.features.union(*(d.features for d in generation.on.values()))
    for unknown in (features - FEATURES.keys()) | {*generation.dialects, *generation.on}.difference(
        DIALECTS
    ):
        raise ValueError(f"generation {name} names an unknown feature or dialect {unknown}")


def _inherit(generations: Mapping[str, Generation], name: str) -> Generation:
    own = generations[name]
    if own.extends is None:
        return own
    parent = _inherit(generations, own.extends)
    return Generation(
        betas=own.betas | parent.betas,
        on_use=own.on_use | parent.on_use,
        features=own.features | parent.features,
        dialects=own.dialects or parent.dialects,
        on={
            dialect: _merged(parent.on.get(dialect), own.on.get(dialect))
            for dialect in {**parent.on, **own.on}
        },
    )


def _merged(parent: Difference | None, own: Difference | None) -> Difference:
    if parent is None or own is None:
        return own or parent or Difference()
    return Difference(
        betas=parent.betas | own.betas,
        features=parent.features | own.features,
        lacks=parent.lacks | own.lacks,
    )
