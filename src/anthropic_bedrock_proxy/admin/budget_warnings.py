"""Warnings for whoever sets a budget: models whose requests it would not count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ..bounded import some_of
from ..store.base.callers import Allowance
from ..store.base.errors import StoreError
from .call import AdminCall, HeldPrices, known_models

_BUDGETS: Final = tuple(
    name for name in Allowance.__struct_fields__ if name.endswith("_budget_nano")
)
_MOST_NAMES: Final = 20


async def budget_warnings(
    call: AdminCall[Any, Any], fields: Mapping[str, Any], allowed_models: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Returns `warnings` for a document, if a budget is among `fields` and something is amiss.

    `allowed_models` are those of the owner; empty: all.
    """
    if all(fields.get(name) is None for name in _BUDGETS):
        return {}
    catalog, site = call.store.catalog, call.site
    try:
        held = HeldPrices(await catalog.prices(), await catalog.synced_prices())
        names = site.unpriced(await known_models(call), held, allowed_models)
    except StoreError:
        return {}  # the change is done, and has to be recorded
    if not names:
        return {}
    told = (
        "requests for them are refused (UNPRICED_MODELS=refuse)"
        if site.refuses_unpriced
        else "this budget does not count requests for them"
    )
    mend = "set their prices (prices set, prices sync), or allow other models only"
    return {"warnings": [f"no price is known of {some_of(names, _MOST_NAMES)}: {told}; {mend}"]}
