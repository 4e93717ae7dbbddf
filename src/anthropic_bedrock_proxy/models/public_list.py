"""LiteLLM's public price list, read into the form of prices.csv: for `prices sync`.

    {"us.anthropic.claude-x": {"litellm_provider": "bedrock_converse", "mode": "chat",
                               "input_cost_per_token": 3.3e-06, "output_cost_per_token": …}}
    -> anthropic.claude-x,us,3.3,…

Dollars per token there, per million here, exactly: no float is between. What is no text model on
Bedrock, or has no price of input and output, is left out.
Source: model_prices_and_context_window.json of LiteLLM 1.110.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any, Final

from .geography import PROFILE_PREFIXES
from .prices import is_plausible, per_million, written

_MODES: Final = frozenset(("chat", "completion", "responses", None))
# A column of prices.csv -> its name there.
_NAMES: Final = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "long_input": "input_cost_per_token_above_200k_tokens",
    "long_output": "output_cost_per_token_above_200k_tokens",
    "long_cache_read": "cache_read_input_token_cost_above_200k_tokens",
    "long_cache_write": "cache_creation_input_token_cost_above_200k_tokens",
    **{
        f"{tier}_{kind}": f"{kind}_cost_per_token_{name}"
        for tier, name in (("batch", "batches"), ("flex", "flex"), ("priority", "priority"))
        for kind in ("input", "output")
    },
}


class PublicListError(Exception):
    """The text is no such list; the message says why."""


def read_public_list(text: str, providers: Collection[str]) -> str:
    """Returns the list in the form of prices.csv, the entries of `providers` alone.

    Raises `PublicListError`.
    """
    try:
        document = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise PublicListError(f"it is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise PublicListError("it is no JSON object of models")
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for name, entry in document.items():
        if isinstance(entry, dict) and (cells := _cells(entry, providers)):
            rows.setdefault(_place(name), cells)
    if not rows:
        raise PublicListError("it has no text model of Bedrock with a price")
    return written(rows)


def _cells(entry: Mapping[str, Any], providers: Collection[str]) -> dict[str, str]:
    """Returns the cells of an entry; none for what is no text model of `providers`."""
    if entry.get("litellm_provider") not in providers or entry.get("mode") not in _MODES:
        return {}
    found = {
        column: per_million(Decimal(amount), tokens=1)
        for column, name in _NAMES.items()
        if isinstance(amount := entry.get(name), int | Decimal)
        and not isinstance(amount, bool)
        and is_plausible(Decimal(amount))
    }
    return found if {"input", "output"} <= found.keys() else {}


def _place(name: str) -> tuple[str, str]:
    """Returns the model and the place of a key: `bedrock/eu-west-1/m.x` is `m.x` at `eu-west-1`."""
    *path, last = name.split("/")
    where = path[-1] if len(path) > 1 else ""
    if path and path[0] == "bedrock_mantle":
        return last, f"mantle/{where}" if where else "mantle"
    prefix, _, rest = last.partition(".")
    if not where and rest and prefix in PROFILE_PREFIXES:
        return rest, prefix
    return last, where
