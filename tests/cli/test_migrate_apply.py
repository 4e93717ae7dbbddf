"""What becomes of a plan when single operations fail."""

from __future__ import annotations

import click

from anthropic_bedrock_proxy.cli.migrate_apply import apply
from anthropic_bedrock_proxy.cli.wire import TakenError
from anthropic_bedrock_proxy.migration.plan import MigrationPlan


class FailingAdmin:
    """An `Admin` that fails as it was told, by path."""

    def __init__(self, failures):
        self.failures, self.called = failures, []

    def call(self, method, path, *, query=None, body=None):
        self.called.append((method, path))
        if error := self.failures.get(path):
            raise error
        return {"id": "key_1"}


def key_of_a_team():
    plan = MigrationPlan()
    plan.do("POST", "teams", {"id": "red"}, source="teams[0]", what="team red")
    plan.do("POST", "keys", {}, source="keys[0]", what="key a", needs=("teams[0]",))
    return plan


def states(failures):
    client = FailingAdmin(failures)
    return [one.state for one in apply(key_of_a_team(), client)], client.called


def test_operations_run_in_their_order():
    assert states({}) == (["done", "done"], [("POST", "teams"), ("POST", "keys")])


def test_a_key_is_not_made_without_the_team_that_bounds_it():
    client = FailingAdmin({"teams": click.ClickException("name: is too long")})
    team, key = apply(key_of_a_team(), client)
    assert (team.state, team.message) == ("refused", "name: is too long")
    assert (key.state, key.message) == ("refused", "teams[0] was refused, which bounds it")
    assert client.called == [("POST", "teams")]


def test_what_is_there_is_left_alone_and_what_needs_it_goes_on():
    assert states({"teams": TakenError("exists")})[0] == ["there already", "done"]
