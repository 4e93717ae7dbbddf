"""What a model accepts, as data: parsed from models.toml, extended by nothing else.

Three names of a model are kept apart: the requested one (what the client says), Bedrock's (base
id, inference profile id or ARN) and the answered one (always the requested name again).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the registry. Windows in tokens, `created_at` a date (YYYY-MM-DD)."""

    id: str
    display_name: str
    bedrock: str
    created_at: str = "1970-01-01"
    generation: str
    profiles: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    lifecycle: str = "active"
    context_tokens: int = 200_000
    output_tokens: int = 64_000
    count_tokens: bool = False  # Bedrock's CountTokens serves it


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What models of one generation accept on InvokeModel."""

    betas: frozenset[str] = frozenset()
    on_use: frozenset[str] = frozenset()  # flags sent only with the feature that needs them
    # effort, effort_beta (effort, with its flag), system_role, thinking_display, tool_search
    features: frozenset[str] = frozenset()
    extends: str | None = None


class BetaTable(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about beta flags that hold for every model."""

    mapping: dict[str, tuple[str, ...]] = {}
    needed_for: dict[str, str] = {}


class ModelTable(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of models.toml."""

    model: tuple[Model, ...]
    generation: dict[str, Generation]
    betas: BetaTable = BetaTable()


def parse_table(data: Mapping[str, Any]) -> ModelTable:
    """Checks the parsed file. Raises msgspec.ValidationError or ValueError."""
    table = msgspec.convert(data, ModelTable)
    generations = {name: _inherit(table.generation, name) for name in table.generation}
    seen: set[str] = set()
    for model in table.model:
        if model.generation not in generations:
            raise ValueError(f"model {model.id} names an unknown generation {model.generation}")
        for name in (model.id, *model.aliases, model.bedrock):
            if name in seen:
                raise ValueError(f"the model name {name} stands twice")
            seen.add(name)
    return msgspec.structs.replace(table, generation=generations)


def _inherit(generations: Mapping[str, Generation], name: str) -> Generation:
    own = generations[name]
    if own.extends is None:
        return own
    parent = _inherit(generations, own.extends)
    return Generation(
        betas=own.betas | parent.betas,
        on_use=own.on_use | parent.on_use,
        features=own.features | parent.features,
    )
