"""Holds in the item of an account, and the changes of it.

An account is the item (partition "account#<owner>", sort key the period), which exists once
somebody holds something: attribute "h#<holder>" is the amount that a process holds, until when, and
its last write. `spent` is money spent elsewhere, or by versions that had no `spent.py`; it counts
with the months. "w#<writer>" see `once.py`. `write` changes with every change of holds: a decision
is written on condition that it is still what was read. A write that was sent again after a lost
answer finds its own name there, and is not done twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...aws.dynamodb_values import Item
from ..base.ledger import Account, Standing
from .items import ItemChange, new_write

HOLD: Final = "h#"
ACCOUNT: Final = "account#"
NAMES: Final = {"#write": "write"}


def taking(holder: str, hold: Item, lapsed: Sequence[str], *, seen: str | None) -> ItemChange:
    """Sets a hold and removes lapsed ones, on condition that `seen` is still the last write."""
    removed = {f"#l{n}": f"{HOLD}{name}" for n, name in enumerate(lapsed)}
    update = "SET #h = :h, #write = :mine"
    if removed:
        update += " REMOVE " + ", ".join(removed)
    names = {**NAMES, "#h": f"{HOLD}{holder}", **removed}
    values: dict[str, Any] = {":h": hold, ":mine": hold["write"]}
    if seen is None:
        condition = "attribute_not_exists(#write) OR #write = :mine"
    else:
        condition = "#write = :seen OR #write = :mine"
        values[":seen"] = seen
    return ItemChange(update=update, condition=condition, names=names, values=values)


def setting(holder: str, hold: Item, seen: str | None) -> ItemChange:
    """Replaces the hold whose last write was `seen`; removes it if the new one is 0."""
    values = {":mine": hold["write"]}
    if hold["held"]:
        update, values[":h"] = "SET #h = :h, #write = :mine", hold
    else:
        update = "SET #write = :mine REMOVE #h"
    if seen is None:
        condition = "attribute_not_exists(#h)"
    else:
        condition, values[":seen"] = "#h.#write = :seen", seen
    return ItemChange(
        update=update,
        condition=condition,
        names={**NAMES, "#h": f"{HOLD}{holder}"},
        values=values,
    )


def lowering(holder: str, hold: Item, nano: int, mine: str) -> ItemChange:
    """Takes `nano` off a hold, on condition that it has not been written since."""
    return ItemChange(
        update="SET #h.#held = :held, #h.#write = :mine, #write = :mine",
        condition="#h.#write = :seen",
        names={**NAMES, "#h": f"{HOLD}{holder}", "#held": "held"},
        values={":held": hold["held"] - nano, ":mine": mine, ":seen": hold["write"]},
    )


def letting_go(holder: str, nano: int) -> ItemChange:
    """Takes `nano` off a hold, if there is one; it may become negative."""
    return ItemChange(
        update="SET #h.#held = #h.#held - :nano, #h.#write = :mine, #write = :mine",
        condition="attribute_exists(#h)",
        names={**NAMES, "#h": f"{HOLD}{holder}", "#held": "held"},
        values={":nano": nano, ":mine": new_write()},
    )


def renewing(holder: str, until: int) -> ItemChange:
    """Makes a hold last until then, if there is one that would lapse before."""
    return ItemChange(
        update="SET #h.#until = :until, #write = :mine",
        condition="attribute_exists(#h) AND #h.#until < :until",
        names={**NAMES, "#h": f"{HOLD}{holder}", "#until": "until"},
        values={":until": until, ":mine": new_write()},
    )


def key_of(account: Account) -> Item:
    """Returns the primary key of an account's item."""
    return {"pk": f"{ACCOUNT}{account.owner}", "sk": account.period}


def holds_in(item: Item) -> dict[str, Item]:
    """Returns the holds in an account's item, lapsed ones too, by holder."""
    return {name.removeprefix(HOLD): value for name, value in item.items() if name.startswith(HOLD)}


def held_by(holds: Mapping[str, Item]) -> int:
    """Sums what is held, in nano-dollars; a negative hold counts as 0."""
    return sum(max(0, hold["held"]) for hold in holds.values())


def standing_of(account: Account, item: Item, now: int) -> Standing:
    """Makes the standing of an account from its item, whose `spent` is all that was spent."""
    live = {name: hold for name, hold in holds_in(item).items() if hold["until"] > now}
    return Standing(account, item.get("spent", 0), held_by(live))
