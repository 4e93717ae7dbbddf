"""LiteLLM's public price list, read into the form of prices.csv: for `prices sync`.

    {"us.anthropic.claude-x": {"litellm_provider": "bedrock_converse", "mode": "chat",
                               "input_cost_per_token": 3.3e-06, "output_cost_per_token": …}}
    -> anthropic.claude-x,us,3.3,…

Dollars per token there, per million here, exactly: no float is between. What is no text model on
Bedrock, or has no price of input and output, is left out, and so is an entry of any other form: one
odd entry is no reason to go on with old prices.
Source: model_prices_and_context_window.json of LiteLLM 1.110.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from .geography import PROFILE_PREFIXES
from .prices import is_price, is_row_of, per_million, written

_MODES: Final = ("chat", "completion", "responses", None)
_NOT_A_NUMBER: Final = Decimal("NaN")
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
        document = json.loads(text, parse_float=_number, parse_int=_number)
    except (ValueError, RecursionError) as error:
        raise PublicListError(f"it is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise PublicListError("it is no JSON object of models")
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for name, entry in document.items():
        where = _place(name)
        if isinstance(entry, dict) and is_row_of(*where) and (cells := _cells(entry, providers)):
            rows.setdefault(where, cells)
    if not rows:
        raise PublicListError("it has no text model of Bedrock with a price")
    return written(rows)


def _cells(entry: Mapping[str, Any], providers: Collection[str]) -> dict[str, str]:
    """Returns the cells of an entry; none for what is no text model of `providers`."""
    provider = entry.get("litellm_provider")
    if not isinstance(provider, str) or provider not in providers:
        return {}
    if entry.get("mode") not in _MODES:
        return {}
    found = {
        column: per_million(amount, tokens=1)
        for column, name in _NAMES.items()
        if isinstance(amount := entry.get(name), Decimal) and is_price(column, amount)
    }
    return found if {"input", "output"} <= found.keys() else {}


def _number(text: str) -> Decimal:
    """Reads a number of the document; none that a price can be is too large to be one."""
    try:
        return Decimal(text)
    except InvalidOperation:  # its exponent is beyond all bounds
        return _NOT_A_NUMBER


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
