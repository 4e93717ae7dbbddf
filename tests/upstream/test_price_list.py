"""The client of the Price List API, against the simulator and against a scripted server."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from fakeserver import ok, serving
from simprocess import KEY_ID, SECRET, simulator

from anthropic_bedrock_proxy.aws.connect import Endpoint, connector
from anthropic_bedrock_proxy.aws.credentials import StaticSource
from anthropic_bedrock_proxy.aws.http import Pool
from anthropic_bedrock_proxy.aws.sigv4 import Credentials
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.sim.client import SimClient
from anthropic_bedrock_proxy.upstream.price_list import PriceListAPI

KEYS = Credentials(KEY_ID, SECRET)
FOUNDATION = "AmazonBedrockFoundationModels"


@pytest.fixture(scope="module")
def address():
    with simulator() as url:
        yield url


@asynccontextmanager
async def api_on(url, *, keys=KEYS, waits=None):
    waits = [] if waits is None else waits

    async def sleep(seconds):
        waits.append(seconds)

    endpoint = Endpoint.from_url(url)
    api = PriceListAPI(
        Pool(connector(endpoint)), endpoint, credentials=StaticSource(keys), sleep=sleep
    )
    try:
        yield api
    finally:
        await api.close()


async def asked(url, service=FOUNDATION, region="us-east-1", **options):
    async with api_on(url, **options) as api:
        return await api.products(service, region)


def test_the_entries_of_a_region_come_from_the_simulator(address):
    entries = [json.loads(text) for text in asyncio.run(asked(address))]
    assert {entry["product"]["attributes"]["regionCode"] for entry in entries} == {"us-east-1"}
    assert len(entries) == 19
    assert asyncio.run(asked(address, region="mars-north-1")) == []


def test_throttling_is_waited_for(address):
    sim = SimClient(address)
    sim.reset()
    sim.script([{"error": {"type": "ThrottlingException", "message": "Rate exceeded"}}])
    waits = []
    assert asyncio.run(asked(address, waits=waits))
    assert waits == [0.5]


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"type": "AccessDeniedException", "message": "no pricing:GetProducts"}, "GetProducts"),
        ({"type": "InvalidParameterException", "message": "what?"}, "what"),
    ],
)
def test_a_refusal_is_told(address, step, said):
    sim = SimClient(address)
    sim.reset()
    sim.script([{"error": step}])
    with pytest.raises(UpstreamRefusal, match=said):
        asyncio.run(asked(address))


def test_wrong_keys_are_told(address):
    with pytest.raises(UpstreamRefusal, match="signature"):
        asyncio.run(asked(address, keys=Credentials(KEY_ID, "wrong")))


@asynccontextmanager
async def answering(*documents):
    """A server that gives one document per request, the last one for ever; keeps the requests."""
    left = list(documents)
    seen = []

    async def answer(request, writer):
        seen.append(request)
        writer.write(ok(left.pop(0) if len(left) > 1 else left[0]))

    async with serving(answer) as server:
        yield f"http://127.0.0.1:{server.port}", seen


async def pages(*documents):
    async with answering(*documents) as (url, seen):
        return await asked(url), len(seen)


def test_pages_are_joined():
    documents = (b'{"PriceList":["1","2"],"NextToken":"t"}', b'{"PriceList":["3"]}')
    assert asyncio.run(pages(*documents)) == (["1", "2", "3"], 2)


@pytest.mark.parametrize("document", [b"<html>", b'{"PriceList":[{}]}', b'{"PriceList":7}'])
def test_another_shape_is_refused(document):
    with pytest.raises(UpstreamRefusal, match="another shape"):
        asyncio.run(pages(document))


def test_a_list_without_an_end_is_refused():
    with pytest.raises(UpstreamRefusal, match="does not end"):
        asyncio.run(pages(b'{"PriceList":[],"NextToken":"again"}'))
