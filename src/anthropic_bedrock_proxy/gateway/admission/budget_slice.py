"""Values of budgets: what may be spent, what a worker has of it, what a running request holds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from math import inf
from typing import Final

import msgspec

from ...errors import PermissionDeniedError
from ...money import dollars
from ...store.base.callers import Allowance, Caller
from ...store.base.ledger import TOTAL, Account, owner_of
from .periods import Today

BUDGET_EXCEEDED: Final = "budget_exceeded"


class Budget(msgspec.Struct, frozen=True):
    """The budget of one account: so much may be spent of it in a period."""

    account: Account
    nano: int
    period: str  # monthly | daily | total
    resets_at: int | None  # epoch seconds; None: never

    def exceeded(self, *, left_over: bool) -> PermissionDeniedError:
        """Returns the error for a client; `left_over`: less is left than the request may cost."""
        kind, _, name = self.account.owner.partition(":")
        amount = dollars(self.nano)
        until = "It does not reset. Ask the operator for more."
        if self.resets_at is not None:
            moment = datetime.fromtimestamp(self.resets_at, UTC)
            until = f"It resets at {moment:%Y-%m-%dT%H:%M:%SZ}."
        what = (
            "has not enough left for what this request may cost (a smaller max_tokens may fit)"
            if left_over
            else "is used up"
        )
        return PermissionDeniedError(
            f"The {self.period} budget of {amount} USD of the {kind} {name} {what}. {until}",
            error_code=BUDGET_EXCEEDED,
            resets_at=self.resets_at,
            should_retry=False,
        )


class BudgetSlice(msgspec.Struct, eq=False):
    """The part of one account that a worker may spend. Times are monotonic seconds."""

    budget: Budget
    available: int = 0  # borrowed and neither spent nor held; below 0: running requests overshot
    low: int = 1  # with less than this, it is time to ask for more
    slice: int = 0  # how much to ask for
    lent_at: float = -inf
    held: int = 0  # by running requests
    surplus: int = 0  # borrowed and not to be spent any more: to be given back
    running: int = 0
    used_at: float = 0.0
    lapses_at: float = inf  # what was borrowed may be another's from then on; inf: nothing was
    left: int | None = None  # of the whole budget, when the ledger was last asked
    refused: int = 0  # the least that the ledger had not left, when it was last asked; 0: nothing
    refused_at: float = 0.0
    borrowing: asyncio.Task[bool] | None = None  # a question that the ledger has not answered yet
    asked_at: float = 0.0
    unpaid: dict[int, int] = msgspec.field(default_factory=dict)  # by the round that delivers it
    due: bool = False  # the ledger may hold something else than `claim`: to be set
    doubtful: int = 0  # the round of which a part was delivered before the hold was set; 0: none
    lasting: bool = False  # the ledger holds what is unpaid, nothing else, and for long

    @property
    def claim(self) -> int:
        """Returns what the ledger has to hold for this slice."""
        return self.available + self.surplus + self.held + sum(self.unpaid.values())

    @property
    def remaining(self) -> int | None:
        """Returns what is left of the whole budget, as far as this worker knows.

        None: the ledger was not asked yet.
        """
        return None if self.left is None else max(0, self.left + self.available + self.held)

    @property
    def empty(self) -> bool:
        """Says whether nothing is in it, and nobody runs who could put something in."""
        return not (self.running or self.available or self.surplus or self.held)

    def has_reached(self, delivered: int) -> None:
        """Forgets what it owes for the rounds up to this one: the ledger has spent it."""
        for round_ in [one for one in self.unpaid if one <= delivered]:
            del self.unpaid[round_]
        if 0 < self.doubtful <= delivered:
            self.doubtful, self.due = 0, True

    def adjust(self, budget: Budget, now: float) -> None:
        """Takes over a changed budget, and forgets what has lapsed."""
        if budget is not self.budget and budget.nano != self.budget.nano:
            if budget.nano < self.budget.nano and self.available > 0:
                self.surplus += self.available  # lent out of a larger budget
                self.available = 0
            self.left = None
            self.refused = 0
        self.budget = budget
        self.lapse(now)

    def lapse(self, now: float) -> None:
        """Forgets what has lapsed.

        What running requests hold has to be borrowed anew. What was spent, also beyond the hold,
        is unpaid, and held again as soon as the hold is set.
        """
        if now >= self.lapses_at:
            self.available, self.surplus, self.lapses_at = -self.held, 0, inf
            self.due, self.lasting = True, False

    def let_go(self, held: int, spent: int, budget: Budget) -> None:
        """Ends the hold of a request, of so much of `budget` as it was, and books what it spent."""
        rest = held - spent
        self.held -= held
        if rest > 0 and self.budget.nano < budget.nano and self.lapses_at != inf:
            self.surplus += rest  # lent out of a larger budget
        else:
            self.available += rest


class Hold(msgspec.Struct, gc=False):
    """A running request's part of its slices, and the budgets that these were of then."""

    slices: Sequence[BudgetSlice]
    budgets: Sequence[Budget]
    nano: int
    input_nano: int = 0  # see `holds.Amount`


def budgets_of(caller: Caller, today: Today) -> list[Budget]:
    """Returns every budget that a request of this caller is paid from."""
    budgets: list[Budget] = []
    for owner, allowance in allowances_of(caller):
        for nano, period, name, ends in (
            (allowance.monthly_budget_nano, today.month, "monthly", today.month_ends),
            (allowance.daily_budget_nano, today.day, "daily", today.day_ends),
            (allowance.total_budget_nano, TOTAL, "total", None),
        ):
            if nano is not None:
                budgets.append(Budget(Account(owner, period), nano, name, ends))
    return budgets


def allowances_of(caller: Caller) -> list[tuple[str, Allowance]]:
    """Returns whom a request is charged to: the owner's name, and what it may use."""
    named = [("key", caller.key), ("user", caller.user), ("team", caller.team)]
    return [(owner_of(kind, one.id), one) for kind, one in named if one is not None]
