"""Providers of the settings and of the store: built once, when somebody asks one."""

from __future__ import annotations

import asyncio
import logging
import re
import weakref
from types import SimpleNamespace

import pytest
from fakeserver import MESSAGE, ok, serving

from anthropic_bedrock_proxy.app.bedrock import Network, Wiring
from anthropic_bedrock_proxy.aws.credentials import CredentialsError, StaticSource
from anthropic_bedrock_proxy.aws.resolver.resolver import Identity
from anthropic_bedrock_proxy.aws.sigv4 import Credentials
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.models import registry
from anthropic_bedrock_proxy.store.base.catalog import ProviderRecord
from anthropic_bedrock_proxy.upstream.base import ModelCall
from anthropic_bedrock_proxy.upstream.fake import FakeUpstream
from anthropic_bedrock_proxy.upstream.provider import (
    DEFAULT_PROVIDER,
    Provider,
    parse_provider,
)
from anthropic_bedrock_proxy.upstream.providers import Providers

ROLE = "arn:aws:iam::123456789012:role/bedrock"
CALL = ModelCall(operation="invoke", bedrock_model_id="m", body=b"{}")
MANTLE = ModelCall(operation="mantle-messages", bedrock_model_id="m", body=b"{}")


def stored(name="shop", region="eu-west-1", **more):
    return ProviderRecord(name=name, region=region, created_at=1, updated_at=1, **more)


class Made(FakeUpstream):
    closed = retired = False

    def __init__(self, provider, name="default"):
        super().__init__()
        self.provider = provider
        self.name = name

    def retire(self):
        self.retired = True

    async def close(self):
        self.closed = True


def unseal(token):
    if token == b"broken":
        raise CredentialsError("PROVIDER_KEY_ENCRYPTION_SECRET is not the one")
    return SimpleNamespace(
        access_key_id="AKID", secret_access_key="s", session_token=None, bearer_token=None
    )


@pytest.fixture
def providers():
    configured = {"west": Provider(region="us-west-2")}
    return Providers(Made(None), configured, build=Made, unseal=unseal)


def test_the_default_provider_is_the_registry_s():
    assert DEFAULT_PROVIDER == registry.DEFAULT_PROVIDER


def test_the_settings_providers(providers):
    assert list(providers) == ["default", "west"]
    assert len(providers) == 2
    assert "west" in providers
    assert "north" not in providers
    assert list(providers._built) == ["default"]
    assert providers["west"] is providers["west"]
    assert providers["west"].provider == Provider(region="us-west-2")
    with pytest.raises(UpstreamRefusal, match="removed or disabled"):
        asyncio.run(providers["north"].call(CALL))
    assert "north" not in providers._built


def test_the_store_s_providers_come_and_go(providers):
    regions = providers.regions
    providers.replace_stored([stored(encrypted_credentials=b"x"), stored("off", is_enabled=False)])
    assert regions == {"shop": "eu-west-1", "west": "us-west-2"}
    assert "off" not in providers
    first, west = providers["shop"], providers["west"]
    assert (first.provider.access_key_id, first.provider.region) == ("AKID", "eu-west-1")
    providers.replace_stored([stored(encrypted_credentials=b"x")])
    assert providers["shop"] is first
    providers.replace_stored([stored(region="eu-west-2")])
    assert providers["shop"] is not first
    assert first.retired
    assert not first.closed  # answers in progress end whole
    providers.replace_stored([])
    assert regions == {"west": "us-west-2"}
    assert providers["west"] is west
    asyncio.run(providers.close())
    assert first.closed
    assert west.closed


def test_a_provider_that_went_is_forgotten_when_nobody_is_served_by_it(providers):
    providers.replace_stored([stored(encrypted_credentials=b"x")])
    gone = weakref.ref(providers["shop"])
    providers.replace_stored([])
    assert gone() is None


def test_a_stored_provider_never_hides_a_configured_one(providers, caplog):
    caplog.set_level(logging.WARNING)
    providers.replace_stored(
        [stored("west", region="eu-west-3"), stored("default"), stored("a/b"), stored(region="?")]
    )
    assert providers.regions == {"west": "us-west-2"}
    assert len(caplog.records) == 4


def test_credentials_that_do_not_open_are_a_refusal(providers):
    providers.replace_stored([stored(encrypted_credentials=b"broken")])
    for go in (providers["shop"].call(CALL), providers["shop"].stream(CALL, None)):
        with pytest.raises(UpstreamRefusal, match="NoCredentials"):
            asyncio.run(go)
    asyncio.run(providers.close())


def test_a_provider_tells_none_of_its_secrets():
    provider = Provider(region="eu-west-1", access_key_id="AKID", secret_access_key="hidden")
    assert repr(provider) == "Provider(eu-west-1)"


@pytest.mark.parametrize(
    ("provider", "runtime", "mantle"),
    [
        (
            Provider(region="eu-west-1"),
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
            "https://bedrock-mantle.eu-west-1.api.aws",
        ),
        (Provider(region="eu-west-1", endpoint_url="http://a"), "http://a", None),
        (
            Provider(region="cn-north-1", mantle_endpoint_url="http://b"),
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
            "http://b",
        ),
    ],
)
def test_endpoints(provider, runtime, mantle):
    network = Network()
    assert (network.runtime_url(provider), network.mantle_url(provider)) == (runtime, mantle)


def test_fips_endpoints_and_nothing_that_may_not_be_one():
    network, provider = Network(fips=True, dualstack=True), Provider(region="us-east-1")
    assert network.runtime_url(provider) == "https://bedrock-runtime-fips.us-east-1.api.aws"
    assert network.mantle_url(provider) is None


def test_a_provider_that_cannot_be_built_refuses_and_is_tried_again():
    built = []

    def build(provider, name):
        built.append(name)
        raise ValueError("no such thing")

    providers = Providers(
        Made(None), {"west": Provider(region="us-west-2")}, build=build, unseal=unseal
    )
    for _ in range(2):
        with pytest.raises(UpstreamRefusal, match="NoCredentials"):
            asyncio.run(providers["west"].call(CALL))
    assert built == ["west", "west"]


def wired(default, call=CALL, **fields):
    """Returns what a provider presents itself with, and the identities that were looked up."""

    async def main():
        looked_up = []

        def resolve(identity):
            looked_up.append(identity)
            return StaticSource(Credentials("AKIDFOUND", "s"))

        async with serving(ok(MESSAGE)) as bedrock:
            url = f"http://127.0.0.1:{bedrock.port}"
            wiring = Wiring(default, Network(), resolve)
            provider = Provider(
                region="eu-west-1", endpoint_url=url, mantle_endpoint_url=url, **fields
            )
            upstream = wiring.build(provider, "shop")
            try:
                await upstream.call(call)
            finally:
                await upstream.close()
            (request,) = bedrock.requests
        (found,) = re.findall(rb"\r\nauthorization: (.*)\r\n", request)
        return found.decode(), looked_up

    return asyncio.run(main())


KEYS = Provider(region="us-east-1", access_key_id="AKIDEFAULT", secret_access_key="s")
TOKEN = Provider(region="us-east-1", bearer_token="default-token")
CHAIN = Provider(region="us-east-1")
OWN = {"access_key_id": "AKIDOWN", "secret_access_key": "t"}


def test_credentials_that_are_given_are_not_looked_up():
    default, looked_up = wired(KEYS)
    assert "Credential=AKIDEFAULT/" in default
    assert "/eu-west-1/bedrock/" in default
    own, more = wired(KEYS, **OWN)
    assert "Credential=AKIDOWN/" in own
    mantle, again = wired(KEYS, MANTLE)
    assert "/eu-west-1/bedrock-mantle/" in mantle
    assert wired(TOKEN) == ("Bearer default-token", [])
    assert wired(KEYS, bearer_token="own") == ("Bearer own", [])
    own, yet = wired(TOKEN, **OWN)
    assert "Credential=AKIDOWN/" in own
    assert looked_up + more + again + yet == []


@pytest.mark.parametrize(
    ("default", "fields", "identity"),
    [
        (CHAIN, {}, Identity(name="the default chain", region="us-east-1")),
        (
            Provider(region="us-east-1", profile="Admin-123456789012"),
            {},
            Identity(name="the profile Admin-…", region="us-east-1", profile="Admin-123456789012"),
        ),
        (
            KEYS,
            {"profile": "shop"},
            Identity(name="the profile shop", region="us-east-1", profile="shop"),
        ),
        (
            KEYS,
            {"role_arn": ROLE, "external_id": "x"},
            Identity(
                name="the role bedrock of shop",
                region="eu-west-1",
                access_key_id="AKIDEFAULT",
                secret_access_key="s",
                role_arn=ROLE,
                external_id="x",
            ),
        ),
        (
            CHAIN,
            {"role_arn": ROLE, **OWN},
            Identity(
                name="the role bedrock of shop",
                region="eu-west-1",
                access_key_id="AKIDOWN",
                secret_access_key="t",
                role_arn=ROLE,
            ),
        ),
        (
            TOKEN,
            {"role_arn": ROLE},
            Identity(name="the role bedrock of shop", region="eu-west-1", role_arn=ROLE),
        ),
    ],
    ids=["chain", "profile", "own profile", "role", "role with own keys", "role of the chain"],
)
def test_identities_that_are_looked_up(default, fields, identity):
    found, looked_up = wired(default, **fields)
    assert "Credential=AKIDFOUND/" in found
    assert looked_up == [identity]
    assert repr(identity) == f"Identity({identity.name!r})"


@pytest.mark.parametrize("field", ["endpoint_url", "mantle_endpoint_url"])
def test_a_url_holds_no_password(field):
    with pytest.raises(ValueError, match="no user name") as refused:
        parse_provider("west", {"region": "us-west-2", field: "https://user:hush@a.example"})
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("value", ["hush hush", "hush\u2013", "hush\nx", ""])
@pytest.mark.parametrize(
    "field", ["access_key_id", "secret_access_key", "session_token", "bearer_token"]
)
def test_credentials_are_what_a_header_carries(field, value):
    fields = {"region": "us-west-2"}
    if field != "bearer_token":
        fields |= {"access_key_id": "AKIA", "secret_access_key": "s"}
    assert getattr(parse_provider("west", fields | {field: " good\n"}), field) == "good"
    with pytest.raises(ValueError, match=field) as refused:
        parse_provider("west", fields | {field: value})
    assert "hush" not in str(refused.value)


def test_a_profile_cannot_write_lines_of_its_own_into_the_log():
    with pytest.raises(ValueError, match="profile contains control characters"):
        parse_provider("west", {"region": "us-west-2", "profile": "x\nERROR forged"})
