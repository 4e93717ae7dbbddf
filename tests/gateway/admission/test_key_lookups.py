"""How often the store is asked for keys, and what is remembered of its answers."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import pytest

from anthropic_bedrock_proxy.errors import AuthenticationError, RateLimitError, UnavailableError
from anthropic_bedrock_proxy.gateway.admission.authenticator import Authenticator, KeyOptions
from anthropic_bedrock_proxy.store.base.callers import Caller, KeyRecord
from anthropic_bedrock_proxy.store.base.errors import StoreError


class SlowStore:
    """Knows every secret that begins with "sk-", and answers when it is told to."""

    def __init__(self):
        self.asked: list[str] = []
        self.open = asyncio.Event()
        self.down = False

    async def find(self, _secret_hash, *, now, secret):
        self.asked.append(secret)
        await self.open.wait()
        if self.down:
            raise StoreError("down")
        if not secret.startswith("sk-"):
            return None
        name = sha256(secret.encode()).hexdigest()[:8]
        return Caller(KeyRecord(id=name, name=secret, secret_hint="", created_at=0, updated_at=0))


class World:
    def __init__(self):
        self.now = 1000.0
        self.store = SlowStore()
        self.auth = Authenticator(
            self.store, KeyOptions(), monotonic=lambda: self.now, now=lambda: self.now
        )

    def ask(self, secret, client="192.0.2.1"):
        return asyncio.ensure_future(self.auth.authenticate(secret, lambda: client))


async def turns(count=20):
    for _ in range(count):
        await asyncio.sleep(0)


def test_many_who_ask_for_one_key_at_once_wait_for_one_look_up():
    async def story():
        world = World()
        for _ in range(3):  # unknown, and each time that it is asked about again
            asking = [world.ask("sk-a", f"192.0.2.{n}") for n in range(200)]
            await turns()
            world.store.open.set()
            assert {(await one).key.name for one in asking} == {"sk-a"}
            world.store.open.clear()
            world.now += 3
        assert world.store.asked == ["sk-a"] * 3

    asyncio.run(story())


def test_who_leaves_first_takes_the_look_up_from_nobody():
    async def story():
        world = World()
        first, *others = [world.ask("sk-a") for _ in range(5)]
        await turns()
        first.cancel()
        await turns()
        world.store.open.set()
        assert first.cancelled()
        assert {(await one).key.name for one in others} == {"sk-a"}
        assert world.store.asked == ["sk-a"]

    asyncio.run(story())


def test_a_look_up_that_nobody_waits_for_any_more_ends_quietly(caplog):
    async def story():
        world = World()
        only = world.ask("sk-a")
        await turns()
        only.cancel()
        world.store.down = True
        world.store.open.set()
        await turns()
        world.store.down = False
        assert (await world.ask("sk-a")).key.name == "sk-a"
        assert world.store.asked == ["sk-a", "sk-a"]

    asyncio.run(story())
    (record,) = caplog.records  # none of asyncio
    assert record.getMessage() == "the store does not answer: down"


def test_all_who_wait_learn_that_the_store_is_down():
    async def story():
        world = World()
        asking = [world.ask("sk-a") for _ in range(5)]
        await turns()
        world.store.down = True
        world.store.open.set()
        for one in asking:
            with pytest.raises(UnavailableError):
                await one

    asyncio.run(story())


def test_what_was_asked_before_a_change_is_not_remembered_after_it():
    async def story():
        world = World()
        before = world.ask("sk-a")
        await turns()
        world.auth.forget()
        after = world.ask("sk-a")
        await turns()
        assert world.store.asked == ["sk-a", "sk-a"], "not what is on its way already"
        world.store.open.set()
        await before
        await after
        await world.ask("sk-a")
        assert world.store.asked == ["sk-a", "sk-a"]

    asyncio.run(story())


def test_one_key_too_many_is_forgotten_alone_and_the_others_survive_an_outage():
    async def story():
        world = World()
        world.store.open.set()
        for number in range(10_001):
            await world.auth.authenticate(f"sk-{number}")
        world.store.down = True
        world.now += 3
        with pytest.raises(UnavailableError):
            await world.ask("sk-0")
        for number in range(1, 10_001):
            await world.auth.authenticate(f"sk-{number}")

    asyncio.run(story())


def test_a_key_in_use_outlives_those_that_are_not():
    async def story():
        world = World()
        world.store.open.set()
        for number in range(10_000):
            await world.auth.authenticate(f"sk-{number}")
        world.now += 3
        await world.auth.authenticate("sk-0")
        for number in range(10_000, 19_999):
            await world.auth.authenticate(f"sk-{number}")
        count = len(world.store.asked)
        await world.auth.authenticate("sk-0")
        assert len(world.store.asked) == count

    asyncio.run(story())


def test_a_flood_of_wrong_keys_forgets_no_right_one():
    async def story():
        world = World()
        world.store.open.set()
        await world.ask("sk-a")
        for number in range(10_100):
            with pytest.raises(AuthenticationError):
                await world.auth.authenticate(f"wrong-{number}", lambda n=number: f"host-{n}")
        count = len(world.store.asked)
        await world.ask("sk-a")
        assert len(world.store.asked) == count
        assert len(world.auth._unknown) <= 10_000

    asyncio.run(story())


def test_who_leaves_before_the_answer_takes_a_turn_and_a_try_all_the_same():
    """Or an address that hangs up at once could ask the store without end."""

    async def story():
        world = World()
        for number in range(200):
            asking = world.ask(f"wrong-{number}")
            await turns(5)
            asking.cancel()
        await turns()
        assert len(world.store.asked) == 32, "at once"
        world.store.open.set()
        await turns()
        for number in range(32, 50):
            with pytest.raises(AuthenticationError):
                await world.ask(f"wrong-{number}")
        with pytest.raises(RateLimitError):
            await world.ask("wrong-50")
        assert (await world.ask("sk-a", "192.0.2.2")).key.name == "sk-a"
        assert not world.auth._gates

    asyncio.run(story())


def test_a_look_up_that_ends_after_a_change_revives_nothing():
    """It hung; the key was revoked meanwhile, in this process, and its answer did not come."""

    async def story():
        world = World()
        world.store.open.set()
        await world.ask("sk-a")
        world.now += 3
        world.store.open.clear()
        hanging = world.ask("sk-a")
        await turns()
        world.auth.forget()
        with pytest.raises(UnavailableError):
            await hanging  # for as long as a known key waits
        count = len(world.store.asked)
        after = world.ask("sk-a")
        await turns()
        assert len(world.store.asked) == count + 1
        world.store.open.set()
        await after

    asyncio.run(story())
