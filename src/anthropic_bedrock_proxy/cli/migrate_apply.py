"""The operations of a plan, run one by one: what fails is told, and the others go on."""

from __future__ import annotations

from typing import Literal

import click
import msgspec

from ..migration.plan import MigrationPlan, PlannedOperation
from .client import Admin
from .wire import TakenError

State = Literal["done", "there already", "refused"]


class AppliedOperation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of a plan after it was tried."""

    what: str
    source: str
    state: State
    message: str = ""


def apply(plan: MigrationPlan, client: Admin) -> list[AppliedOperation]:
    """Runs the operations of a plan in their order; without what it needs, one is refused.

    A key whose team could not be made would be a key that the team's budget does not bound.
    """
    refused: set[str] = set()
    outcomes: list[AppliedOperation] = []
    for operation in plan.operations:
        if missing := refused.intersection(operation.needs):
            message = f"{', '.join(sorted(missing))} was refused, which bounds it"
            outcome = _ended(operation, "refused", message)
        else:
            outcome = _run(operation, client)
        if outcome.state == "refused":
            refused.add(operation.source)
        outcomes.append(outcome)
    return outcomes


def _run(operation: PlannedOperation, client: Admin) -> AppliedOperation:
    try:
        client.call(operation.method, operation.path, body=operation.body)
    except TakenError as error:
        return _ended(operation, "there already", error.message)
    except click.ClickException as error:
        return _ended(operation, "refused", error.message)
    return _ended(operation, "done")


def _ended(operation: PlannedOperation, state: State, message: str = "") -> AppliedOperation:
    return AppliedOperation(
        what=operation.what, source=operation.source, state=state, message=message
    )
