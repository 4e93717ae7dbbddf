"""Looks at components: each made to fail, and to recover."""

from __future__ import annotations

import asyncio

import pytest
from clocks import Clock

from anthropic_bedrock_proxy.app.health import (
    check_health,
    judged,
    look_at_executors,
    look_at_limiter,
    look_at_providers,
    look_at_store,
    make_health,
)
from anthropic_bedrock_proxy.app.sandbox import OnDemandSandbox
from anthropic_bedrock_proxy.aws_errors import NO_CREDENTIALS, UNREACHABLE, UpstreamRefusal
from anthropic_bedrock_proxy.config import SettingsError, load_settings
from anthropic_bedrock_proxy.health.components import KEPT_SECONDS
from anthropic_bedrock_proxy.limits.base import LimiterError
from anthropic_bedrock_proxy.sandbox.wire import ExecutorState
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.upstream.base import CredentialsState
from anthropic_bedrock_proxy.upstream.fake import FakeUpstream

NOW = 1_800_000_000.0
AWAY = UpstreamRefusal(UNREACHABLE, "cannot connect to 10.0.0.7:443")
NO_KEYS = UpstreamRefusal(NO_CREDENTIALS, "the role proxy of default: AccessDenied")


def looked(work):
    return asyncio.run(work)


def states(found):
    return {name: finding.state for name, finding in found.items()}


def test_the_store():
    store = MemoryStore()
    assert states(looked(look_at_store(store))) == {"store": "ok"}
    store.down = True
    (found,) = looked(look_at_store(store)).values()
    assert found.state == "failed"
    assert "journal" in found.reason
    assert found.detail == "the in-memory store is down"
    store.down = False
    assert states(looked(look_at_store(store))) == {"store": "ok"}


def test_the_limiter():
    class OfNobody:
        alone = True

        async def check(self):
            if self.alone:
                raise LimiterError("Redis does not answer") from OSError("10.0.0.7")

    limiter = OfNobody()
    (found,) = looked(look_at_limiter(limiter)).values()
    assert (found.state, "10.0.0.7" in found.reason) == ("degraded", False)
    limiter.alone = False
    assert states(looked(look_at_limiter(limiter))) == {"limiter": "ok"}


@pytest.mark.parametrize(
    ("one", "other", "state"),
    [
        ("ready", "ready", "ok"),
        ("idle", "idle", "idle"),
        ("ready", "idle", "idle"),
        ("unavailable", "idle", "degraded"),
        ("ready", None, "unknown"),
        ("preparing", "ready", "degraded"),
        ("unavailable", "ready", "degraded"),
        ("unavailable", "unavailable", "degraded"),  # everything but code is served
    ],
)
def test_executors(one, other, state):
    known = {
        f"http://sandboxes-{number}:1": status and ExecutorState(status=status, reason="no Docker")
        for number, status in enumerate((one, other))
    }
    (found,) = looked(look_at_executors(lambda: known)).values()
    assert found.state == state
    assert "sandboxes-" not in found.reason


class TestProviders:
    """Each provider has credentials and an endpoint, and serves with both alone."""

    def look(self, **upstreams):
        return looked(look_at_providers(upstreams, now=lambda: NOW))

    def test_all_is_well(self):
        found = self.look(default=FakeUpstream(), west=FakeUpstream())
        assert states(found) == {"credentials": "ok", "upstream": "ok"}

    def test_an_endpoint_fails_and_recovers(self):
        upstream = FakeUpstream()
        upstream.unreachable = AWAY
        found = self.look(default=upstream)
        assert states(found) == {"credentials": "ok", "upstream": "failed"}
        assert "10.0.0.7" not in found["upstream"].reason
        assert "10.0.0.7" in found["upstream"].detail
        upstream.unreachable = None
        assert states(self.look(default=upstream)) == {"credentials": "ok", "upstream": "ok"}

    def test_credentials_fail_and_recover(self):
        upstream = FakeUpstream()
        upstream.credentials = NO_KEYS
        found = self.look(default=upstream)
        assert states(found) == {"credentials": "failed", "upstream": "ok"}
        assert "role" not in found["credentials"].reason
        upstream.credentials = CredentialsState(NOW + 3600)
        assert states(self.look(default=upstream)) == {"credentials": "ok", "upstream": "ok"}

    def test_while_one_can_serve_nothing_has_failed(self):
        broken = FakeUpstream()
        broken.unreachable, broken.credentials = AWAY, NO_KEYS
        found = self.look(default=broken, west=FakeUpstream())
        assert states(found) == {"credentials": "degraded", "upstream": "degraded"}
        assert found["upstream"].reason.startswith("1 of 2: ")
        assert "west" not in found["upstream"].reason

    def test_none_can_serve_if_each_lacks_another_thing(self):
        cut_off, penniless = FakeUpstream(), FakeUpstream()
        cut_off.unreachable, penniless.credentials = AWAY, NO_KEYS
        found = self.look(default=cut_off, west=penniless)
        assert states(found) == {"credentials": "failed", "upstream": "failed"}


@pytest.mark.parametrize(
    ("credentials", "state"),
    [
        (CredentialsState(), "ok"),
        (CredentialsState(NOW + 3600), "ok"),
        (CredentialsState(NOW + 60), "degraded"),
        (CredentialsState(NOW), "failed"),
        (CredentialsState(refused=True), "degraded"),
    ],
)
def test_credentials_that_are_there(credentials, state):
    assert judged(credentials, NOW).state == state


def test_what_is_no_component_cannot_be_required(tmp_path):
    check_health(load_settings(None, {"READY_REQUIRES": "store,limiter"}, env_file=None))
    with pytest.raises(SettingsError, match="READY_REQUIRES: 'redis' is none of store"):
        check_health(load_settings(None, {"READY_REQUIRES": "store,redis"}, env_file=None))


class FineLimiter:
    async def check(self):
        pass


def test_providers_of_the_store_are_looked_at_as_they_come_and_go():
    off = {
        "ENABLE_PROGRAMMATIC_TOOL_CALLING": "false",
        "ENABLE_STANDALONE_CODE_EXECUTION": "false",
    }
    settings = load_settings(None, off, env_file=None)
    clock, stored = Clock(), FakeUpstream()
    stored.unreachable = AWAY
    providers = {"default": FakeUpstream()}

    async def story():
        _, components = make_health(
            settings,
            store=MemoryStore(),
            limiter=FineLimiter(),
            providers=providers,
            sandbox=OnDemandSandbox(settings, None),
            monotonic=clock,
        )
        for change in (dict, lambda: providers.update(west=stored), lambda: providers.pop("west")):
            change()
            yield (await components.current())["upstream"].state
            clock.now += KEPT_SECONDS
        await components.close()

    async def told():
        return [state async for state in story()]

    assert asyncio.run(told()) == ["ok", "degraded", "ok"]
