"""Whatever administrators do, one after the other or at once: nobody comes by more than it had.

People know secrets: that of the key they were given, and those in answers to what they asked. The
master grants, widens and hands out keys as it likes, but tells nobody the secret of a key with
scopes. Requests run together, step by step between reads and writes of the store, in any order.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from types import SimpleNamespace

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from anthropic_bedrock_proxy.admin.api import AdminAPI
from anthropic_bedrock_proxy.admin.call import Site
from anthropic_bedrock_proxy.admin.scopes import EVERYTHING, MASTER, Actor, check_reach
from anthropic_bedrock_proxy.errors import PermissionDeniedError, ProxyError
from anthropic_bedrock_proxy.store.base.callers import KeyRecord, OwnerRecord
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.secrets import hash_secret

NOW = 1_800_000_000
WRITES = ("keys:write", "users:write", "teams:write")
LATER = {"2030-01-01": 1_893_456_000, "2040-01-01": 2_208_988_800, None: None}
GIVEN = {  # name -> the key that a person begins with
    "ann": {"admin_scopes": (*WRITES, "keys:read")},
    "ben": {"admin_scopes": WRITES, "allowed_networks": ("10.0.0.0/8",)},
    "cid": {"admin_scopes": ("keys:write",), "expires_at": LATER["2030-01-01"], "team_id": "red"},
}
PEOPLE = strategies.sampled_from(["master", *GIVEN])
OWNERS = strategies.sampled_from([None, "red", "blue", "top"])
FIELDS = strategies.fixed_dictionaries(
    {},
    optional={
        "admin_scopes": strategies.sampled_from(
            [[], ["keys:read"], ["keys:write"], [*WRITES], ["audit:read"], [EVERYTHING]]
        ),
        "allowed_networks": strategies.sampled_from([None, ["10.0.0.0/8"], ["10.1.0.0/16"]]),
        "expires_at": strategies.sampled_from(list(LATER)),
        "user_id": OWNERS,
        "team_id": OWNERS,
    },
)
ROTATIONS = strategies.sampled_from(
    [("POST", "keys/{key}/rotate", {}), ("POST", "keys/{key}/rotate", {"overlap_seconds": 3600})]
)
KEY_REQUESTS = strategies.one_of(
    FIELDS.map(lambda fields: ("POST", "keys", {"name": "new", **fields})),
    FIELDS.map(lambda fields: ("PATCH", "keys/{key}", {"name": "changed", **fields})),
    ROTATIONS,
    strategies.sampled_from(
        [
            ("POST", "keys/{key}/revoke", {}),
            ("POST", "keys/{key}/reactivate", {}),
        ]
    ),
)
OWNER_REQUESTS = strategies.builds(
    lambda kind, owner, change: (
        change[0],
        f"{kind}s" if change[0] == "POST" else f"{kind}s/{owner or 'red'}",
        {**change[1], "id": owner or "red"} if change[0] == "POST" else change[1],
    ),
    strategies.sampled_from(["user", "team"]),
    OWNERS,
    strategies.sampled_from(
        [
            ("POST", {}),
            ("PATCH", {"is_active": False}),
            ("PATCH", {"is_active": True}),
            ("PATCH", {"daily_budget_usd": 0}),
            ("DELETE", {}),
        ]
    ),
)
STEPS = strategies.lists(
    strategies.tuples(
        PEOPLE,
        strategies.integers(0, 9),  # which of the secrets that one knows
        strategies.one_of(KEY_REQUESTS, KEY_REQUESTS, OWNER_REQUESTS),
    ),
    min_size=1,
    max_size=3,
)


class Stepping:
    """A port whose calls wait for their turn."""

    def __init__(self, port, waiting):
        self._port, self._waiting = port, waiting

    def __getattr__(self, name):
        method = getattr(self._port, name)

        async def call(*arguments, **options):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
            return await method(*arguments, **options)

        return call


class Rights(RuleBasedStateMachine):
    """A site with people who do what they can."""

    def __init__(self):
        super().__init__()
        self.store = MemoryStore()
        self.waiting = []
        ports = {name: Stepping(getattr(self.store, name), self.waiting) for name in PORTS}
        nowhere = Site(
            registry=lambda *_: None, seal=None, prices=None, find_request=None
        )  # models and places are not asked for
        self.api = AdminAPI(SimpleNamespace(**ports), nowhere, now=lambda: NOW)
        self.loop = asyncio.new_event_loop()
        self.known = {person: [f"sk-{person}"] for person in GIVEN}
        self.begun = {person: Actor.of_key(a_key(person, **GIVEN[person])) for person in GIVEN}
        self.loop.run_until_complete(self.prepare())

    def teardown(self):
        """Ends the loop."""
        self.loop.close()

    async def prepare(self):
        for person, fields in GIVEN.items():
            await self.store.keys.create(a_key(person, **fields), hash_secret(f"sk-{person}"))
        boss = a_key("boss", admin_scopes=(EVERYTHING,), user_id="top", team_id="top")
        await self.store.keys.create(boss, hash_secret("sk-boss"))
        for kind in ("user", "team"):
            for owner_id in ("top", "red"):
                await self.store.owners.create(
                    OwnerRecord(kind=kind, id=owner_id, name="n", created_at=1, updated_at=1)
                )

    @rule(
        steps=STEPS,
        place=strategies.integers(0, 9),
        order=strategies.lists(strategies.integers(0, 2), max_size=12),
    )
    def people_do_something_with_a_key_at_once(self, steps, place, order):
        self.loop.run_until_complete(self.together(steps, place, order))

    @rule(
        person=strategies.sampled_from(list(GIVEN)),
        request=KEY_REQUESTS,
        fields=FIELDS,
        place=strategies.integers(0, 9),
        order=strategies.lists(strategies.integers(0, 2), max_size=6),
    )
    def a_grant_meets_what_somebody_does_with_that_key(self, person, request, fields, place, order):
        grant = ("PATCH", "keys/{key}", {"admin_scopes": [EVERYTHING], **fields})
        steps = [(person, 0, request), ("master", 0, grant)]
        self.loop.run_until_complete(self.together(steps, place, order))

    async def together(self, steps, place, order):
        tasks = [asyncio.create_task(self.ask(place, *step)) for step in steps]
        order = list(order)
        while not all(task.done() for task in tasks):
            for _ in range(12):  # until everybody waits for its turn or is done
                await asyncio.sleep(0)
            if self.waiting:
                turn = (order.pop() if order else 0) % len(self.waiting)
                self.waiting.pop(turn).set_result(None)
        for task in tasks:
            task.result()

    async def ask(self, place, person, which, request):
        method, path, body = request
        if person == "master":
            if "top" in (path.rpartition("/")[2], body.get("user_id"), body.get("team_id")):
                return  # that is the boss's own, and so is the master's business
            actor = MASTER
        else:
            secret = self.known[person][which % len(self.known[person])]
            actor = await self.actor(secret)
            if actor is None:
                return
        keys = [key.id for key in await self.store.keys.list()]
        key_id = keys[place % len(keys)]
        if person == "master" and key_id == "key_boss":
            return
        path = f"/admin/api/{path.format(key=key_id)}"
        try:
            match = self.api.authorise(actor, method, path.encode())
            _, document = await self.api.run(match, {}, json.dumps(body).encode())
        except ProxyError:
            return
        if "key" not in document:
            return
        if person != "master":
            self.known[person].append(document["key"])
        elif not document["admin_scopes"]:
            # To whoever is next, as a client's key.
            self.known[sorted(GIVEN)[place % len(GIVEN)]].append(document["key"])

    async def actor(self, secret):
        """As the admin API sees the owner of a secret; None if it is not let in."""
        caller = await self.store.keys.find(hash_secret(secret), now=NOW)
        if caller is None or not caller.key.is_active:
            return None
        if any(owner and not owner.is_active for owner in (caller.user, caller.team)):
            return None
        return Actor.of_key(caller.key)

    @invariant()
    def nobody_knows_a_secret_of_a_key_that_may_do_more_than_it_was_given(self):
        for person, secrets in self.known.items():
            for secret in secrets:
                caller = self.loop.run_until_complete(
                    self.store.keys.find(hash_secret(secret), now=NOW)
                )
                if caller is not None:
                    assert reaches(self.begun[person], caller.key), (person, caller.key)

    @invariant()
    def nobody_changed_a_key_that_may_do_more(self):
        self.loop.run_until_complete(self.check_boss())
        for record in self.loop.run_until_complete(self.store.audit.list(limit=10**6)):
            if record.actor != "master" and record.action.startswith("keys."):
                assert any(
                    all(reaches(actor, told(state)) for state in (record.before, record.after))
                    for actor in self.begun.values()
                ), record

    async def check_boss(self):
        """The master left it alone, so it is as it was."""
        assert await self.actor("sk-boss") is not None
        for kind in ("user", "team"):
            top = await self.store.owners.get(kind, "top")
            assert top is not None
            assert (top.updated_at, top.daily_budget_nano) == (1, None)


PORTS = ("keys", "owners", "audit", "catalog")
TestRights = Rights.TestCase
TestRights.settings = settings(max_examples=100, stateful_step_count=15, deadline=None)


def a_key(name, **fields):
    return KeyRecord(
        **{"id": f"key_{name}", "name": name, "secret_hint": "h", "created_at": 1, "updated_at": 1}
        | fields
    )


def told(state):
    """A state in the audit log as a key with what it may administer."""
    if state is None:
        return a_key("none")
    return a_key(
        "told",
        admin_scopes=tuple(state["admin_scopes"]),
        allowed_networks=tuple(state["allowed_networks"]),
        expires_at=state["expires_at"],
    )


def reaches(actor, key):
    try:
        check_reach(actor, key)
    except PermissionDeniedError:
        return False
    return True


def test_the_check_of_this_file_tells_more_from_less():
    with pytest.raises(PermissionDeniedError):
        check_reach(Actor.of_key(a_key("x", **GIVEN["ben"])), a_key("y", **GIVEN["ann"]))
    assert reaches(Actor.of_key(a_key("x", **GIVEN["ann"])), a_key("y", **GIVEN["ben"]))


@pytest.mark.parametrize("overlap_seconds", [0, 3600])
@pytest.mark.parametrize("order", list(itertools.product((0, 1), repeat=4)))
def test_a_rotation_that_races_a_grant_wins_nothing_in_any_order(order, overlap_seconds):
    site = Rights()
    rotate = ("POST", "keys/{key}/rotate", {"overlap_seconds": overlap_seconds})
    grant = ("PATCH", "keys/{key}", {"admin_scopes": [EVERYTHING]})
    steps = [("ann", 0, rotate), ("master", 0, grant)]
    for place in range(len(GIVEN)):
        site.loop.run_until_complete(site.together(steps, place, order))
        site.nobody_knows_a_secret_of_a_key_that_may_do_more_than_it_was_given()
        site.nobody_changed_a_key_that_may_do_more()
    site.teardown()
