"""The control plane, against the simulator and against a scripted server."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import asynccontextmanager

import pytest
from fakeserver import ok, serving
from simprocess import KEY_ID, SECRET, TOKEN, simulator
from sources import FetchedSource

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.aws.connect import Endpoint, connector
from anthropic_bedrock_proxy.aws.credentials import (
    CredentialsError,
    StaticSource,
)
from anthropic_bedrock_proxy.aws.http import Pool
from anthropic_bedrock_proxy.aws.sigv4 import Credentials
from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions
from anthropic_bedrock_proxy.sim.client import SimClient
from anthropic_bedrock_proxy.upstream.control import ControlPlane
from anthropic_bedrock_proxy.upstream.profiles import MAX_FAILED, ProfileModels

KEYS = Credentials(KEY_ID, SECRET)
ACCOUNT = "123456789012"
PROFILE = f"arn:aws:bedrock:us-east-1:{ACCOUNT}:application-inference-profile/"
SONNET = "anthropic.claude-sonnet-4-5-20250929-v1:0"


@pytest.fixture(scope="module")
def address():
    with simulator() as url:
        yield url


@pytest.fixture
def sim(address):
    client = SimClient(address)
    client.reset()
    return client


@asynccontextmanager
async def control_on(url, *, credentials=None, token=None, waits=None, **options):
    waits = [] if waits is None else waits

    async def sleep(seconds):
        waits.append(seconds)

    endpoint = Endpoint.from_url(url)
    control = ControlPlane(
        Pool(connector(endpoint)),
        endpoint,
        region="us-east-1",
        credentials=credentials or StaticSource(KEYS),
        bearer_token=token,
        sleep=sleep,
        **options,
    )
    try:
        yield control
    finally:
        await control.close()


@asynccontextmanager
async def scripted(*answers, **options):
    """A control plane on a server that gives one answer per request, the last one for ever."""
    left = list(answers)

    async def answer(request, writer):
        step = left.pop(0) if len(left) > 1 else left[0]
        if step is None:
            return True
        writer.write(step)
        return None

    async with (
        serving(answer) as server,
        control_on(f"http://127.0.0.1:{server.port}/prefix", **options) as control,
    ):
        yield control, server


def refused(status, code):
    body = b'{"message":"no"}'
    head = b"HTTP/1.1 %d x\r\nx-amzn-errortype: %b\r\ncontent-length: %d\r\n\r\n"
    return head % (status, code, len(body)) + body


def page(*names, token=None):
    profiles = [{"inferenceProfileId": n, "inferenceProfileArn": f"arn:{n}"} for n in names]
    document = {"inferenceProfileSummaries": profiles} | ({"nextToken": token} if token else {})
    return ok(json.dumps(document).encode())


@pytest.mark.parametrize("token", [None, TOKEN])
def test_what_the_simulator_lists(sim, address, token):
    sim.set_profiles({"team": f"us.{SONNET}"})

    async def main():
        async with control_on(address, token=token) as control:
            models = {model.id: model for model in await control.list_foundation_models()}
            assert models[SONNET].provider == "Anthropic"
            assert models[SONNET].inference_types == ("INFERENCE_PROFILE",)
            assert models[SONNET].output_modalities == ("TEXT",)
            assert models[SONNET].lifecycle.status == "ACTIVE"
            profiles = {profile.id: profile for profile in await control.list_inference_profiles()}
            assert profiles[f"us.{SONNET}"].base_model_id == SONNET
            assert profiles[f"global.{SONNET}"].type == "SYSTEM_DEFINED"
            assert profiles["team"].type == "APPLICATION"
            assert profiles["team"].arn == f"{PROFILE}team"
            (only,) = await control.list_inference_profiles(["APPLICATION"])
            assert only.base_model_id == SONNET
            assert await control.get_inference_profile(f"{PROFILE}team") == SONNET
            with pytest.raises(UpstreamRefusal) as caught:
                await control.get_inference_profile(f"{PROFILE}gone")
            assert caught.value.code == "ResourceNotFoundException"

    asyncio.run(main())


def test_wrong_keys_are_refused_and_forgotten(sim, address):
    async def main():
        fetched = []

        async def fetch():
            fetched.append(1)
            return Credentials(KEY_ID, "wrong")

        source = FetchedSource(fetch)
        async with control_on(address, credentials=source) as control:
            for _ in range(2):
                with pytest.raises(UpstreamRefusal) as caught:
                    await control.list_foundation_models()
                assert caught.value.status == 403
        assert len(fetched) == 2

    asyncio.run(main())


def test_no_keys_at_all():
    async def fetch():
        raise CredentialsError("nothing was found")

    async def main():
        async with control_on("http://127.0.0.1:1", credentials=FetchedSource(fetch)) as control:
            with pytest.raises(UpstreamRefusal, match="nothing was found"):
                await control.list_foundation_models()

    asyncio.run(main())


def test_pages_are_followed_to_their_end():
    async def main():
        async with scripted(page("a", token="t/1="), page("b"), page("c")) as (control, server):
            found = await control.list_inference_profiles()
            assert [profile.id for profile in found] == ["a", "b", "c"]
            lines = [request.split(b" ")[1] for request in server.requests]
            start = b"/prefix/inference-profiles?maxResults=1000&"
            assert lines == [
                start + b"type=SYSTEM_DEFINED",
                start + b"nextToken=t%2F1%3D&type=SYSTEM_DEFINED",
                start + b"type=APPLICATION",
            ]
            assert all(request.endswith(b"\r\n\r\n") for request in server.requests)

    asyncio.run(main())


def test_pages_without_an_end():
    async def main():
        async with scripted(page("a", token="t")) as (control, server):
            with pytest.raises(UpstreamRefusal, match="does not end"):
                await control.list_inference_profiles()
            assert len(server.requests) == 100

    asyncio.run(main())


@pytest.mark.parametrize(
    ("trouble", "waits"),
    [
        (refused(429, b"ThrottlingException"), [0.5, 1.0]),
        (refused(500, b"InternalServerException"), [0.5, 1.0]),
        (None, [0.5, 1.0]),
        (refused(400, b"ValidationException"), []),
        (refused(403, b"AccessDeniedException"), []),
        (ok(b"<html>"), []),
        (ok(b'{"modelSummaries": [{}]}'), []),
        (ok(b'{"x": ' + b"[" * 100_000), []),
        (ok(b'{"modelSummaries": "\xff"}'), []),
    ],
    ids=[
        *("throttled", "internal", "cut", "invalid", "denied", "no json", "another shape"),
        "deep",
        "no text",
    ],
)
def test_tried_again_only_where_that_may_help(trouble, waits):
    async def main():
        waited = []
        async with scripted(trouble, waits=waited) as (control, _):
            with pytest.raises(UpstreamRefusal):
                await control.list_foundation_models()
            assert waited == waits
        waited.clear()
        if waits:
            answers = (trouble, ok(b'{"modelSummaries": []}'))
            async with scripted(*answers, waits=waited) as (control, _):
                assert await control.list_foundation_models() == []

    asyncio.run(main())


def test_a_profile_that_names_no_model():
    answer = ok(b'{"inferenceProfileId":"x","inferenceProfileArn":"y","models":[]}')

    async def main():
        async with scripted(answer) as (control, _):
            with pytest.raises(UpstreamRefusal, match="no model"):
                await control.get_inference_profile("x")

    asyncio.run(main())


def test_an_answer_that_does_not_come():
    async def answer(request, writer):
        await asyncio.sleep(5)

    async def main():
        async with serving(answer) as server:
            options = {"timeout_seconds": 0.05, "max_attempts": 1}
            async with control_on(f"http://127.0.0.1:{server.port}", **options) as control:
                with pytest.raises(UpstreamRefusal, match="cannot be asked"):
                    await control.list_foundation_models()

    asyncio.run(main())


class Control:
    """Answers once it is told to."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        self.go = asyncio.Event()

    async def get_inference_profile(self, arn):
        self.asked.append(arn)
        await self.go.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_one_question_for_many_waiters_and_never_again(sim, address):
    arn = f"{PROFILE}sim0sonnet45"

    async def main():
        registry = Registry(load_model_table(), RoutingOptions(region="us-east-1"))
        assert registry.route(arn).opaque
        async with control_on(address) as control:
            backing = ProfileModels(control, registry.learn_profile)
            await asyncio.gather(*(backing.resolve(arn, "key_1") for _ in range(20)))
            await backing.resolve(arn, "key_1")
        found = registry.route(arn)
        assert (found.opaque, found.base_model_id) == (False, SONNET)
        assert {target.bedrock_model_id for target in found.targets} == {arn}
        assert len(sim.requests()) == 1

    asyncio.run(main())


def test_a_client_that_leaves_takes_nothing_from_the_others():
    async def main():
        control, learned = Control(SONNET), []
        backing = ProfileModels(control, lambda *answer: learned.append(answer))
        first = asyncio.create_task(backing.resolve("a", "key_1"))
        second = asyncio.create_task(backing.resolve("a", "key_1"))
        await asyncio.sleep(0)
        first.cancel()
        control.go.set()
        await second
        assert (control.asked, learned) == (["a"], [("a", SONNET)])
        assert first.cancelled()

    asyncio.run(main())


def test_a_failure_holds_for_a_minute_and_tells_no_account(caplog):
    async def main():
        now = [0.0]
        arn = f"{PROFILE}team\nforged"
        refusal = UpstreamRefusal("AccessDeniedException", f"user {ACCOUNT} may not read {arn}")
        control, learned = Control(refusal), []
        control.go.set()
        backing = ProfileModels(control, lambda *answer: learned.append(answer), now=lambda: now[0])
        for now[0] in (0.0, 59.0, 60.0, 61.0):
            await backing.resolve(arn, "key_1")
        assert control.asked == [arn, arn]
        assert learned == []
        control.answer = SONNET
        now[0] = 200.0
        await backing.resolve(arn, "key_1")
        assert learned == [(arn, SONNET)]

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert len(caplog.records) == 2
    assert ACCOUNT not in caplog.text
    assert "'team\\nforged'" in caplog.text
    assert "AccessDeniedException" in caplog.text


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr("anthropic_bedrock_proxy.upstream.profiles._MAX_REMEMBERED", 3)

    async def main():
        for answer in (SONNET, UpstreamRefusal("ResourceNotFoundException", "no")):
            control = Control(answer)
            control.go.set()
            backing = ProfileModels(control, lambda *_: None)
            for number in range(10):
                await backing.resolve(f"arn{number}", "key_1")
            assert max(len(backing._known), len(backing._failed)) <= 3

    asyncio.run(main())


def test_made_up_profiles_of_one_key_are_not_asked_for_without_end():
    """500 names caused 500 questions; the profiles of others are asked for all the same."""

    async def main():
        now = [0.0]
        control, learned = Control(UpstreamRefusal("ResourceNotFoundException", "no")), []
        control.go.set()
        backing = ProfileModels(control, lambda *answer: learned.append(answer), now=lambda: now[0])
        for number in range(500):
            await backing.resolve(f"arn{number}", "key_1")
        assert len(control.asked) == MAX_FAILED
        control.answer = SONNET
        await backing.resolve("real", "key_2")
        await backing.resolve("real", "key_1")
        assert learned == [("real", SONNET)]
        now[0] += 60
        await backing.resolve("another", "key_1")
        assert len(learned) == 2
        assert not backing._open

    asyncio.run(main())


def test_profiles_that_are_real_cost_a_key_nothing():
    async def main():
        control = Control(SONNET)
        control.go.set()
        backing = ProfileModels(control, lambda *_: None)
        for number in range(3 * MAX_FAILED):
            await backing.resolve(f"arn{number}", "key_1")
        assert len(control.asked) == 3 * MAX_FAILED

    asyncio.run(main())


def test_questions_that_are_under_way_count_too():
    async def main():
        control = Control(SONNET)
        backing = ProfileModels(control, lambda *_: None)
        asks = [asyncio.create_task(backing.resolve(f"arn{n}", "key_1")) for n in range(100)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(control.asked) == MAX_FAILED
        await backing.close()
        await asyncio.gather(*asks, return_exceptions=True)
        assert not backing._open

    asyncio.run(main())


def test_closing_gives_up_what_is_asked():
    async def main():
        backing = ProfileModels(Control(SONNET), lambda *_: None)
        waiting = asyncio.create_task(backing.resolve("a", "key_1"))
        await asyncio.sleep(0)
        await backing.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(main())
