"""What becomes of a plan when single operations fail."""

from __future__ import annotations

import click

from anthropic_bedrock_proxy.cli.migrate_apply import apply
from anthropic_bedrock_proxy.cli.wire import TakenError
from anthropic_bedrock_proxy.migration.plan import MigrationPlan, PlannedOperation


class FailingAdmin:
    """An `Admin` that fails as it was told, by path."""

    def __init__(self, failures):
        self.failures, self.called = failures, []

    def call(self, method, path, *, query=None, body=None):
        self.called.append((method, path))
        if error := self.failures.get(path):
            raise error
        return {"id": "key_1"}


def blocked_key():
    plan = MigrationPlan()
    revoke = PlannedOperation(
        method="POST", path="keys/{id}/revoke", body={}, source="keys[0]", what="blocked"
    )
    plan.do("POST", "keys", {}, source="keys[0]", what="key a", then=(revoke,))
    return plan


def test_what_follows_gets_the_id_that_was_given():
    client = FailingAdmin({})
    (outcome,) = apply(blocked_key(), client)
    assert outcome.state == "done"
    assert client.called == [("POST", "keys"), ("POST", "keys/key_1/revoke")]


def test_a_key_that_was_made_and_could_not_be_blocked_is_named():
    client = FailingAdmin({"keys/key_1/revoke": click.ClickException("the store is away")})
    (outcome,) = apply(blocked_key(), client)
    assert outcome.state == "refused"
    assert outcome.message == "key_1 was made, but it is not blocked: the store is away"


def test_what_is_there_is_left_alone():
    client = FailingAdmin({"keys": TakenError("exists")})
    (outcome,) = apply(blocked_key(), client)
    assert (outcome.state, outcome.message) == ("there already", "exists")
    assert client.called == [("POST", "keys")]
