from __future__ import annotations

import asyncio
import time

import pytest
from factories import (
    make_application,
    make_authentication,
    make_counters,
    make_counting,
    make_messages,
)
from streams import MESSAGE, STREAM, encode
from working import search_tools

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.gateway.admission.authenticator import KeyOptions
from anthropic_bedrock_proxy.gateway.answer.pacing import Pacing
from anthropic_bedrock_proxy.http.health import Health
from anthropic_bedrock_proxy.models.registry import DEFAULT_PROVIDER, Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.request.policy import DEFAULT_POLICY
from anthropic_bedrock_proxy.store.base.callers import KeyRecord
from anthropic_bedrock_proxy.store.memory.store import MemoryStore
from anthropic_bedrock_proxy.store.secrets import hash_secret, hint_of, mint_secret
from anthropic_bedrock_proxy.upstream.fake import FakeUpstream

KEY = "sk-master"


class Proxy:
    """Everything but the network: the application on a fake upstream and a memory store."""

    def __init__(
        self,
        *,
        pacing=None,
        keys=None,
        max_bytes=1 << 25,
        cors=None,
        monotonic=time.monotonic,
        report_cost=False,
        limits=None,
        holds=False,
        trusted_networks=(),
        toolset=None,
        content=(),
        policy=DEFAULT_POLICY,
        budget_status="auto",
    ):
        self.upstream = FakeUpstream()
        toolset = toolset or search_tools()
        self.records = []
        self.resolved = []
        self.registry = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
        self.store = MemoryStore()
        options = keys or KeyOptions(master_api_key=KEY)
        self.authentication = make_authentication(
            self.store, options, monotonic=monotonic, trusted_networks=trusted_networks
        )
        counters = make_counters(
            self, self.registry, monotonic=monotonic, store=self.store, limits=limits, holds=holds
        )
        self.pricing, self.budgets = counters.pricing, counters.budgets
        self.logged = []
        upstreams = {DEFAULT_PROVIDER: self.upstream}
        self.messages = make_messages(
            upstreams,
            self.registry,
            counters,
            monotonic=monotonic,
            pacing=pacing or Pacing(),
            resolve_profile=self.resolve_profile,
            toolset=toolset,
            report_cost=report_cost,
            policy=policy,
        )
        self.health = Health(environment="development")
        self.app = make_application(
            self.authentication,
            health=self.health,
            messages=self.messages,
            counting=make_counting(
                upstreams, self.registry, counters, monotonic=monotonic, toolset=toolset
            ),
            registry=self.registry,
            max_body_bytes=max_bytes,
            content=content,
            budget_status=budget_status,
            observers=[lambda _, exchange: self.logged.append(exchange)],
            cors=cors,
        )

    def add_key(self, *, user=None, team=None, **fields):
        """A new key, with its owners if given; returns its secret."""
        secret = mint_secret()
        key = KeyRecord(
            id=f"key_{secret[-6:]}",
            name="n",
            secret_hint=hint_of(secret),
            **{"created_at": 0, "updated_at": 0} | fields,
        )

        async def add():
            for owner in filter(None, (user, team)):
                await self.store.owners.create(owner)
            await self.store.keys.create(key, hash_secret(secret))

        asyncio.run(add())
        return secret

    def append(self, record):
        self.records.append(record)

    async def resolve_profile(self, arn, key_id):
        self.resolved.append(arn)


@pytest.fixture
def make_proxy():
    return Proxy


@pytest.fixture
def proxy():
    return Proxy()


@pytest.fixture
def message():
    return encode(MESSAGE)


@pytest.fixture
def stream():
    return STREAM
