"""The operations of a plan, run one by one: what fails is told, and the others go on."""

from __future__ import annotations

from typing import Literal

import click
import msgspec

from ..migration.plan import MigrationPlan, PlannedOperation
from .client import Admin
from .wire import TakenError, segment

State = Literal["done", "there already", "refused"]


class AppliedOperation(msgspec.Struct, frozen=True, kw_only=True):
    """One operation of a plan after it was tried."""

    what: str
    source: str
    state: State
    message: str = ""


def apply(plan: MigrationPlan, client: Admin) -> list[AppliedOperation]:
    """Runs the operations of a plan in their order."""
    return [_run(operation, client) for operation in plan.operations]


def _run(operation: PlannedOperation, client: Admin) -> AppliedOperation:
    try:
        answer = client.call(operation.method, operation.path, body=operation.body)
    except TakenError as error:
        return _ended(operation, "there already", error.message)
    except click.ClickException as error:
        return _ended(operation, "refused", error.message)
    try:
        for after in operation.then:
            path = after.path.format(id=segment(answer["id"]))
            client.call(after.method, path, body=after.body)
    except click.ClickException as error:
        message = f"{answer['id']} was made, but it is not {after.what}: {error.message}"
        return _ended(operation, "refused", message)
    return _ended(operation, "done")


def _ended(operation: PlannedOperation, state: State, message: str = "") -> AppliedOperation:
    return AppliedOperation(
        what=operation.what, source=operation.source, state=state, message=message
    )
