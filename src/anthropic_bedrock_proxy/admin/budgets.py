"""Standings of a key, a user or a team: money spent, held and left."""

from __future__ import annotations

from typing import Any

from ..errors import NotFoundError
from ..gateway.admission.periods import today
from ..money import usd
from ..store.base.callers import Allowance
from ..store.base.ledger import CHARGED, TOTAL, Account, Standing, owner_of
from .call import AdminCall, Nothing
from .moments import timestamp


async def standing(call: AdminCall[Nothing, Nothing]) -> dict[str, Any]:
    """Returns the current month, the current day, and all time, each with its budget, if any."""
    owner, allowance, standings = await _look_up(call)
    known = {found.account.period: found for found in standings}
    now = today(call.now)
    periods = (
        ("month", now.month, allowance.monthly_budget_nano, now.month_ends),
        ("day", now.day, allowance.daily_budget_nano, now.day_ends),
        ("total", TOTAL, allowance.total_budget_nano, None),
    )
    rows = []
    for kind, period, budget, ends in periods:
        found = known.get(period, Standing(Account(owner, period)))
        left = None if budget is None else max(0, budget - found.spent_nano - found.held_nano)
        rows.append(
            {
                "kind": kind,
                "period": period,
                "budget_usd": usd(budget),
                "spent_usd": usd(found.spent_nano),
                "held_usd": usd(found.held_nano),
                "remaining_usd": usd(left),
                "resets_at": timestamp(ends),
            }
        )
    return {"kind": call.parts["kind"], "id": call.parts["id"], "budgets": rows}


async def history(call: AdminCall[Nothing, Nothing]) -> dict[str, Any]:
    """Lists every period in which something was spent, oldest first; "total" last."""
    _, _, standings = await _look_up(call)
    rows = [
        {
            "period": found.account.period,
            "spent_usd": usd(found.spent_nano),
            "held_usd": usd(found.held_nano),
        }
        for found in standings
    ]
    return {"kind": call.parts["kind"], "id": call.parts["id"], "history": rows}


async def _look_up(call: AdminCall[Any, Any]) -> tuple[str, Allowance, list[Standing]]:
    """Returns (name in the ledger, record, standings) of an owner. Raises `NotFoundError`."""
    kind, identifier = call.parts["kind"], call.parts["id"]
    if kind not in CHARGED:
        raise NotFoundError(f"{kind[:100]} has no budgets: {', '.join(CHARGED)} have")
    store = call.store
    found: Allowance | None
    if kind == "key":
        found = await store.keys.get(identifier)
    else:
        found = await store.owners.get(kind, identifier)
    owner = owner_of(kind, identifier)
    standings = list(await store.ledger.standings(owner, now=call.now))
    # Keys may name users and teams that nobody recorded: they spend all the same.
    if found is None and not standings:
        raise NotFoundError(f"no {kind} has the id {identifier[:200]}")
    return owner, found or Allowance(), standings
