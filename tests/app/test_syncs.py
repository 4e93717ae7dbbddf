"""The syncs that a worker runs by itself, on the simulator and on a server of the test's."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager

import pytest
from fakeserver import TLS, ok, serving
from simprocess import KEY_ID, SECRET, simulator

from anthropic_bedrock_proxy.app.bedrock import make_resolver
from anthropic_bedrock_proxy.app.build import check
from anthropic_bedrock_proxy.app.syncs import make_syncs
from anthropic_bedrock_proxy.config import SettingsError, load_settings
from anthropic_bedrock_proxy.store.base.catalog import PriceRecord
from anthropic_bedrock_proxy.store.memory.store import MemoryStore

OPUS = "anthropic.claude-opus-5-5"
ENTRY = {"litellm_provider": "bedrock", "mode": "chat"}
LIST = {"us.m.x": ENTRY | {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}}
OWN = PriceRecord(model=OPUS, updated_at=1, input_nano=9, output_nano=9)


@pytest.fixture(scope="module")
def address():
    with simulator() as url:
        yield url


def settings_of(**environ):
    return load_settings(environ={"AWS_REGION": "us-east-1", **environ}, env_file=None)


async def synced(store, times=1, regions=(), **environ):
    """Does the one sync that the settings enable."""
    settings = settings_of(**environ)
    resolver = make_resolver(settings)
    (work,) = make_syncs(settings, store, resolver, lambda: regions)
    for _ in range(times):
        await work.once()
    await resolver.close()


@asynccontextmanager
async def hosting(document, *, kind=b"text/plain"):
    """The settings of a text that is on a server, by https."""
    answer = ok(json.dumps(document).encode(), b"content-type: %b\r\n" % kind)
    async with serving(answer, tls=True) as server:
        yield {
            "PRICING_SYNC_URL": f"https://localhost:{server.port}/list?key=secret",
            "MODEL_MAPPING_SYNC_URL": f"https://localhost:{server.port}/names?key=secret",
            "AWS_CA_BUNDLE": str(TLS / "server.pem"),
        }


def aws(address, **more):
    keys = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
    return {"PRICING_SYNC_ENABLED": "true", "PRICING_ENDPOINT_URL": address, **keys, **more}


def run(story, caplog):
    caplog.set_level(logging.INFO)
    asyncio.run(story())


def test_nothing_is_synced_unless_it_is_enabled():
    assert make_syncs(settings_of(), MemoryStore(), None, list) == []


def test_prices_come_from_aws_and_leave_the_operator_s_alone(address, caplog):
    store = MemoryStore()

    async def story():
        await store.catalog.put_price(OWN)
        await synced(store, 2, ["eu-west-1"], **aws(address))
        assert await store.catalog.prices() == [OWN]
        prices = await store.catalog.synced_prices()
        assert prices.source == "AWS Price List"
        assert f"{OPUS},global/us-east-1,4,20,0.4," in prices.text
        assert f"{OPUS},eu-west-1,4.4,22," in prices.text
        assert "ap-northeast-1" not in prices.text
        (change,) = await store.audit.list(limit=9)
        assert (change.actor, change.action) == ("schedule", "prices.sync")

    run(story, caplog)
    assert "rows of AWS Price List" in caplog.text
    assert "entries left out" in caplog.text


def test_prices_come_from_a_url(caplog):
    store = MemoryStore()

    async def story():
        async with hosting(LIST) as environ:
            await synced(store, PRICING_SYNC_ENABLED="true", **environ)
        assert "m.x,us,1,2" in (await store.catalog.synced_prices()).text

    run(story, caplog)
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("location", "taken"),
    [
        ("https://127.0.0.1:{port}/other", False),
        ("https://[::1]:{port}/other", False),
        ("https://169.254.169.254/latest", False),
        ("http://localhost:{port}/other", False),
        ("https://LOCALHOST.:{port}/other", True),
        ("/other", True),
    ],
)
def test_a_redirect_leads_into_no_network_that_the_operator_did_not_name(caplog, location, taken):
    store = MemoryStore()
    asked = []

    async def answer(request, writer):
        asked.append(request.split()[1])
        if asked[-1] == b"/other":
            writer.write(ok(json.dumps(LIST).encode(), b"content-type: application/json\r\n"))
            return
        where = location.format(port=writer.get_extra_info("sockname")[1]).encode()
        writer.write(b"HTTP/1.1 302 F\r\ncontent-length: 0\r\nlocation: %b\r\n\r\n" % where)

    async def story():
        async with serving(answer, tls=True) as server:
            url = f"https://localhost:{server.port}/list"
            trust = {"AWS_CA_BUNDLE": str(TLS / "server.pem")}
            await synced(store, PRICING_SYNC_ENABLED="true", PRICING_SYNC_URL=url, **trust)
        assert (await store.catalog.synced_prices() is not None) is taken

    run(story, caplog)
    assert asked == ([b"/list", b"/other"] if taken else [b"/list"])


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        ({"PRICING_ENDPOINT_URL": "http://127.0.0.1:1"}, "cannot be asked"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "signature"),
        ({"PRICING_SYNC_URL": "https://127.0.0.1:1/list"}, "cannot be fetched"),
    ],
)
def test_a_failed_sync_of_prices_changes_nothing_and_says_why(address, caplog, trouble, told):
    store = MemoryStore()

    async def story():
        await synced(store, **aws(address) | trouble)
        assert await store.catalog.synced_prices() is None
        assert await store.catalog.version() == 0
        assert await store.audit.list(limit=9) == []

    run(story, caplog)
    assert told in caplog.text
    assert "changed nothing" in caplog.text


NAMES = {"fast": "us.anthropic.claude-haiku-4-5-20251001-v1:0", "lost": "gpt-4"}


def test_names_come_from_a_url_and_those_that_lead_nowhere_do_not(caplog):
    store = MemoryStore()

    async def story():
        async with hosting(NAMES, kind=b"application/json") as environ:
            await synced(store, 2, MODEL_MAPPING_SYNC_ENABLED="true", **environ)
        found = await store.catalog.synced_mappings()
        assert found.mappings == {"fast": NAMES["fast"]}
        assert found.source.endswith("/names")
        (change,) = await store.audit.list(limit=9)
        assert (change.action, change.after["new"]) == ("models.sync_mappings", ["fast"])

    run(story, caplog)
    assert "cannot be routed here: lost" in caplog.text
    assert "0 new, 0 changed, 0 gone" in caplog.text, "the second time"
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (["fast"], "no JSON object of texts"),
        ({"fast": 1}, "no JSON object of texts"),
        ({"a" * 300: "claude-haiku-4-5"}, "mappings"),
        ({f"n{number}": "claude-haiku-4-5" for number in range(1001)}, "mappings"),
    ],
)
def test_names_that_are_none_change_nothing(caplog, document, told):
    store = MemoryStore()

    async def story():
        async with hosting(document) as environ:
            await synced(store, MODEL_MAPPING_SYNC_ENABLED="true", **environ)
        assert await store.catalog.synced_mappings() is None

    run(story, caplog)
    assert told in caplog.text


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"MODEL_MAPPING_SYNC_ENABLED": "true"}, "set MODEL_MAPPING_SYNC_URL"),
        ({"PRICING_SYNC_PROVIDERS": "bedrock,openai"}, "openai is no provider"),
    ],
)
def test_what_could_never_be_done_is_refused_at_the_start(environ, told):
    with pytest.raises(SettingsError, match=told):
        check(settings_of(**environ))


def test_only_https_is_fetched():
    with pytest.raises(SettingsError, match="https://"):
        settings_of(PRICING_SYNC_URL="http://example.com/list")
