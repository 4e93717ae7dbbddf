from __future__ import annotations

import asyncio
from hashlib import sha256

import pytest

from anthropic_bedrock_proxy.errors import (
    AuthenticationError,
    PermissionDeniedError,
    RateLimitError,
    UnavailableError,
)
from anthropic_bedrock_proxy.gateway.admission.authenticator import (
    STALE_SECONDS,
    Authenticator,
    KeyOptions,
)
from anthropic_bedrock_proxy.gateway.admission.brute_force import BruteForceGuard
from anthropic_bedrock_proxy.store.base.callers import KeyRecord, OwnerRecord
from anthropic_bedrock_proxy.store.memory.store import MemoryStore


class World:
    """An authenticator on a memory store, with a clock of its own; counts store look-ups."""

    def __init__(self, **options):
        self.now = 1000.0
        self.store = MemoryStore()
        self.looked_up = 0
        self.guard = BruteForceGuard()
        self.auth = Authenticator(
            self,
            KeyOptions(**options),
            monotonic=lambda: self.now,
            now=lambda: self.now,
            guard=self.guard,
        )

    async def find(self, secret_hash, *, now, secret):
        self.looked_up += 1
        return await self.store.keys.find(secret_hash, now=now, secret=secret)

    def add(self, secret, **fields):
        key = KeyRecord(id="key_1", name="n", secret_hint="h", created_at=1, updated_at=1, **fields)
        asyncio.run(self.store.keys.create(key, sha256(secret.encode()).digest()))

    def ask(self, secret, client=""):
        return asyncio.run(self.auth.authenticate(secret, lambda: client)).key.id


def test_found_by_hash_and_remembered_for_a_while():
    world = World(ttl_seconds=2.0)
    world.add("sk-a")
    assert [world.ask("sk-a") for _ in range(3)] == ["key_1"] * 3
    assert world.looked_up == 1
    world.now += 2.5
    world.ask("sk-a")
    assert world.looked_up == 2


def test_unknown_keys_are_remembered_too():
    world = World()
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            world.ask("sk-unknown")
    assert world.looked_up == 1


def test_a_change_is_in_force_after_the_ttl_or_at_once_when_told():
    world = World(ttl_seconds=2.0)
    world.add("sk-a")
    world.ask("sk-a")
    changes = {"is_active": False, "deactivated_reason": "revoked"}
    asyncio.run(world.store.keys.update("key_1", changes, now=1))
    assert world.ask("sk-a") == "key_1"
    world.auth.forget()
    with pytest.raises(PermissionDeniedError) as refused:
        world.ask("sk-a")
    assert refused.value.error_code == "revoked"
    assert refused.value.should_retry is False


@pytest.mark.parametrize("kind", ["user", "team"])
def test_who_belongs_to_an_inactive_owner_is_refused(kind):
    world = World()
    world.add("sk-a", **{f"{kind}_id": "o"})
    times = {"created_at": 0, "updated_at": 0}
    owner = OwnerRecord(kind=kind, id="o", name="O", is_active=False, **times)
    asyncio.run(world.store.owners.create(owner))
    with pytest.raises(PermissionDeniedError, match=f"The {kind} o is not active"):
        world.ask("sk-a")


def test_expired():
    world = World()
    world.add("sk-a", expires_at=1005)
    assert world.ask("sk-a") == "key_1"
    world.now = 1005.0
    with pytest.raises(PermissionDeniedError, match="expired"):
        world.ask("sk-a")


def test_inactive_without_a_reason_is_revoked():
    world = World()
    world.add("sk-a", is_active=False)
    with pytest.raises(PermissionDeniedError, match="revoked"):
        world.ask("sk-a")


def test_a_store_that_is_down_never_looks_like_a_wrong_key():
    world = World(ttl_seconds=2.0)
    world.add("sk-a")
    world.ask("sk-a")
    world.store.down = True
    world.now += 60
    assert world.ask("sk-a") == "key_1"
    with pytest.raises(UnavailableError):
        world.ask("sk-new")
    for _ in range(4):  # being used does not make it younger
        world.now += STALE_SECONDS / 4
        if world.now < 1000 + STALE_SECONDS:
            assert world.ask("sk-a") == "key_1"
    world.now += 60
    with pytest.raises(UnavailableError):
        world.ask("sk-a")
    world.store.down = False
    assert world.ask("sk-a") == "key_1"


def test_a_flood_of_wrong_keys_does_not_fill_memory():
    world = World()

    async def flood():
        for number in range(10_500):
            with pytest.raises(AuthenticationError):
                await world.auth.authenticate(f"sk-{number}", lambda at=number: f"host{at // 40}")

    asyncio.run(flood())
    assert len(world.auth._unknown) <= 10_000


ONE, OTHER = "192.0.2.1", "192.0.2.2"


def wrong(world, number, client=ONE):
    """What 401 or 429 the next wrong keys of an address get."""
    refused = []
    for _ in range(number):
        with pytest.raises((AuthenticationError, RateLimitError)) as error:
            world.ask(f"sk-wrong-{world.looked_up}-{len(refused)}", client)
        refused.append(error.value.status)
    return refused


def test_wrong_keys_of_one_address_are_not_all_looked_up():
    """Each of 1000 was a read of the store."""
    world = World()
    world.add("sk-a")
    assert wrong(world, 1000) == [401] * 50 + [429] * 950
    assert world.looked_up == 50
    assert world.ask("sk-a", OTHER) == "key_1"
    world.now += 1
    assert wrong(world, 10) == [401] * 5 + [429] * 5


def test_who_was_known_goes_on_from_an_address_that_tried_too_many():
    world = World()
    world.add("sk-a")
    world.ask("sk-a", ONE)
    wrong(world, 60)
    world.now += 0.1
    for change in (lambda: None, world.auth.forget):
        change()
        assert world.ask("sk-a", ONE) == "key_1"
    with pytest.raises(RateLimitError, match="Too many API keys") as refused:
        world.ask("sk-another", ONE)
    assert 0 < refused.value.retry_after <= 0.2


def test_many_requests_at_once_with_a_right_key_are_all_served():
    """A worker that has just started knows no key."""
    world = World()
    world.add("sk-a")

    async def main():
        asked = [world.auth.authenticate("sk-a", lambda: ONE) for _ in range(300)]
        return {caller.key.id for caller in await asyncio.gather(*asked)}

    assert asyncio.run(main()) == {"key_1"}
    assert world.looked_up <= 32
    assert not world.auth._gates


def test_many_right_keys_at_once_from_one_address_are_all_served():
    world = World()
    for number in range(300):
        key = KeyRecord(id=f"k{number}", name="", secret_hint="", created_at=1, updated_at=1)
        asyncio.run(world.store.keys.create(key, sha256(b"sk-%d" % number).digest()))

    async def main():
        asked = [world.auth.authenticate(f"sk-{n}", lambda: ONE) for n in range(300)]
        return len({caller.key.id for caller in await asyncio.gather(*asked)})

    assert asyncio.run(main()) == 300


def test_many_wrong_keys_at_once_are_hardly_more_than_those_that_one_may_try():
    world = World()

    async def main():
        asked = [world.auth.authenticate(f"sk-{n}", lambda: ONE) for n in range(1000)]
        return await asyncio.gather(*asked, return_exceptions=True)

    done = asyncio.run(main())
    assert {type(error) for error in done} == {AuthenticationError, RateLimitError}
    assert 50 <= world.looked_up <= 50 + 32
    assert not world.auth._gates


def test_a_client_that_leaves_makes_room_for_the_next_once_the_store_has_answered():
    world = World()
    world.add("sk-a")
    hanging = asyncio.Event()

    async def find(secret_hash, *, now, secret):
        if secret != "sk-a":
            await hanging.wait()
        return await world.store.keys.find(secret_hash, now=now, secret=secret)

    async def main():
        world.find = find
        tasks = [
            asyncio.create_task(world.auth.authenticate(f"sk-{n}", lambda: ONE)) for n in range(40)
        ]
        await asyncio.sleep(0)
        right = asyncio.create_task(world.auth.authenticate("sk-a", lambda: ONE))
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
        assert not right.done()
        hanging.set()
        return (await right).key.id

    assert asyncio.run(main()) == "key_1"
    assert not world.auth._gates


def test_right_keys_take_nothing_from_their_address():
    world = World(ttl_seconds=0)
    world.add("sk-a")
    for _ in range(200):
        world.auth._known.clear()
        world.ask("sk-a", ONE)
    assert wrong(world, 60) == [401] * 50 + [429] * 10


def test_a_store_that_does_not_answer_takes_nothing_either():
    world = World()
    world.store.down = True
    for number in range(100):
        with pytest.raises(UnavailableError):
            world.ask(f"sk-{number}", ONE)


def test_where_keys_are_not_required_too_many_wrong_ones_are_anonymous():
    world = World(require_api_key=False)
    assert {world.ask(f"sk-{number}", ONE) for number in range(100)} == {"anonymous"}
    assert world.looked_up == 50


def test_a_change_is_not_survived_by_what_was_known_before():
    """As long as the store does not answer, nobody can say whether the key still holds."""
    world = World()
    world.add("sk-a")
    world.ask("sk-a")
    world.auth.forget()
    world.store.down = True
    with pytest.raises(UnavailableError):
        world.ask("sk-a")


def test_the_master_key_needs_no_store():
    world = World(master_api_key="sk-m")
    assert world.ask("sk-m") == "master"
    assert world.looked_up == 0
