"""Whose keys seal: the operator's, or one that all workers of a store agree on."""

from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.app.seals import OnDemandSeals
from anthropic_bedrock_proxy.config import SettingsError, load_settings
from anthropic_bedrock_proxy.errors import UnavailableError
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.tools.web.seal import SealError

PURPOSE = b"web_search_result"
FIRST, SECOND = (
    "first-key-of-the-operator-0123456789",
    "c2Vjb25kLWtleS1vZi10aGUtb3BlcmF0b3ItMDEyMzQ=",
)


def settings(**given):
    return load_settings(None, {name.upper(): value for name, value in given.items()})


def load(store, now=lambda: 1e9, **given):
    return asyncio.run(OnDemandSeals(settings(**given), store.kept_secrets, now).load())


def test_workers_of_one_store_open_each_others_seals():
    store = MemoryStore()
    token = load(store).seal("key_1", PURPOSE, b"x")
    assert load(store).open("key_1", PURPOSE, token) == b"x"
    with pytest.raises(SealError, match="no longer known"):
        load(MemoryStore()).open("key_1", PURPOSE, token)


def test_keys_of_the_operator_are_changed_one_after_the_other():
    store = MemoryStore()
    store.down = True  # not asked
    old = load(store, web_seal_keys=FIRST).seal("key_1", PURPOSE, b"x")
    both = load(store, web_seal_keys=f" {SECOND} , {FIRST} ")
    assert both.open("key_1", PURPOSE, old) == b"x"
    new = both.seal("key_1", PURPOSE, b"y")
    only_new = load(store, web_seal_keys=SECOND)
    assert only_new.open("key_1", PURPOSE, new) == b"y"
    with pytest.raises(SealError, match="no longer known"):
        only_new.open("key_1", PURPOSE, old)


def test_an_outage_of_the_store_fails_one_request_and_not_the_next(caplog):
    store = MemoryStore()
    seals = OnDemandSeals(settings(), store.kept_secrets)

    async def story():
        store.down = True
        with pytest.raises(UnavailableError, match="right now") as refused:
            await seals.load()
        assert refused.value.should_retry
        assert "the in-memory store is down" in caplog.text
        store.down = False
        loaded = await seals.load()
        store.down = True
        assert await seals.load() is loaded

    asyncio.run(story())


def test_many_requests_at_once_share_one_key():
    store = MemoryStore()
    seals = OnDemandSeals(settings(), store.kept_secrets)

    async def story():
        one, other = await asyncio.gather(seals.load(), seals.load())
        assert other.open("", PURPOSE, one.seal("", PURPOSE, b"x")) == b"x"

    asyncio.run(story())


def test_the_days_are_those_of_the_setting():
    store = MemoryStore()
    token = load(store).seal("key_1", PURPOSE, b"x")
    later = 1e9 + 2 * 86_400
    assert load(store, lambda: later, web_seal_days="2").open("key_1", PURPOSE, token) == b"x"
    with pytest.raises(SealError, match="older than 2 days"):
        load(store, lambda: later + 1, web_seal_days="2").open("key_1", PURPOSE, token)


@pytest.mark.parametrize("keys", ["short", f"{FIRST},", f"{FIRST},{'a' * 31}", ","])
def test_a_key_that_could_be_guessed_is_refused_without_being_shown(keys):
    with pytest.raises(SettingsError, match="WEB_SEAL_KEYS") as refused:
        settings(web_seal_keys=keys)
    assert "at least 32 characters" in str(refused.value)
    assert FIRST not in str(refused.value)
