from __future__ import annotations

import time

import pytest
from streams import MESSAGE, STREAM, encode

from anthropic_bedrock_proxy.app import load_model_table
from anthropic_bedrock_proxy.fetch.base import NoFetcher
from anthropic_bedrock_proxy.gateway.admission import Admission
from anthropic_bedrock_proxy.gateway.counting import Counting
from anthropic_bedrock_proxy.gateway.failover import Failover
from anthropic_bedrock_proxy.gateway.keys import Authenticator, KeyOptions
from anthropic_bedrock_proxy.gateway.messages import Messages
from anthropic_bedrock_proxy.gateway.pacing import Pacing
from anthropic_bedrock_proxy.gateway.routing import DEFAULT_PLACE, Registry, RoutingOptions
from anthropic_bedrock_proxy.gateway.sources import Sources
from anthropic_bedrock_proxy.gateway.verdicts import Verdicts
from anthropic_bedrock_proxy.http.routes import Routes
from anthropic_bedrock_proxy.protocol.terms import DEFAULT_TERMS
from anthropic_bedrock_proxy.store.memory import MemoryStore
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
        timeout_seconds=60.0,
        stall_timeout_seconds=300.0,
        monotonic=time.monotonic,
    ):
        self.upstream = FakeUpstream()
        self.records = []
        self.resolved = []
        self.registry = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
        self.store = MemoryStore()
        options = keys or KeyOptions(master_api_key=KEY)
        self.authenticator = Authenticator(
            self.store.keys, options, monotonic=monotonic, now=time.time
        )
        self.logged = []
        self.app = Routes(
            messages=Messages(
                upstreams={DEFAULT_PLACE: self.upstream},
                registry=self.registry,
                failover=Failover(monotonic=monotonic),
                admission=Admission(self, monotonic=monotonic),
                pacing=pacing or Pacing(),
                verdicts=Verdicts(self.registry.betas.needed_for),
                sources=Sources(NoFetcher()),
                resolve_backing=self.resolve_backing,
                terms=DEFAULT_TERMS,
                monotonic=monotonic,
            ),
            counting=Counting(
                {DEFAULT_PLACE: self.upstream},
                self.registry,
                Sources(NoFetcher()),
                monotonic=monotonic,
            ),
            registry=self.registry,
            authenticator=self.authenticator,
            max_body_bytes=max_bytes,
            key_header=options.header,
            environment="development",
        ).application(
            lambda _, exchange: self.logged.append(exchange),
            body_timeout_seconds=timeout_seconds,
            stall_timeout_seconds=stall_timeout_seconds,
        )

    def append(self, record):
        self.records.append(record)

    async def resolve_backing(self, arn):
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
