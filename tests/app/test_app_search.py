"""Web search out of settings: who searches, and what stays unmade until it is needed."""

from __future__ import annotations

import asyncio
import json

import pytest
from fake_search import HITS, FakeSearch

from anthropic_bedrock_proxy.app.bedrock import make_resolver, make_wiring
from anthropic_bedrock_proxy.app.search import (
    OnDemandSearcher,
    make_backends,
    search_price_nano,
)
from anthropic_bedrock_proxy.app.search_plan import plan_search
from anthropic_bedrock_proxy.config import SettingsError, load_settings, rules
from anthropic_bedrock_proxy.search.base import SearchError, SearchQuery
from anthropic_bedrock_proxy.search.regions import REGIONS

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "s"}
QUERY = SearchQuery("q")


def settings(**given):
    names = {name.upper(): value for name, value in given.items()}
    return load_settings(environ=KEYS | {"AWS_REGION": "us-east-1"} | names, env_file=None)


def plan(**given):
    return plan_search(settings(**given))


def made(**given):
    """The names and the endpoints of the back ends that are made."""

    async def main():
        loaded = settings(**given)
        wiring = make_wiring(loaded, make_resolver(loaded))
        backends = make_backends(loaded, plan_search(loaded), wiring)
        found = [(one.name, endpoint_of(one)) for one in backends]
        for one in backends:
            await one.close()
        return found

    return asyncio.run(main())


def endpoint_of(backend):
    client = getattr(backend, "_client", None) or backend._door
    client = getattr(client, "_client", client)
    return client.endpoint.host


def test_without_a_setting_aws_searches_where_the_proxy_is():
    assert plan().names == ("agentcore-api",)
    assert made() == [("agentcore-api", "bedrock-agentcore.us-east-1.amazonaws.com")]
    assert made(aws_region="eu-west-1") == [
        ("agentcore-api", "bedrock-agentcore.eu-west-1.amazonaws.com")
    ]
    assert made(aws_use_fips_endpoint="true") == [
        ("agentcore-api", "bedrock-agentcore-fips.us-east-1.amazonaws.com")
    ]


@pytest.mark.parametrize("region", ["us-west-1", "eu-central-1", "us-gov-west-1", "cn-north-1"])
def test_queries_leave_the_region_only_if_the_operator_says_so(region):
    assert region not in REGIONS
    found = plan(aws_region=region)
    assert found.names == ()
    assert "WEB_SEARCH_REGION" in found.reason
    named = plan(aws_region=region, web_search_region="us-east-2")
    assert (named.names, named.region) == (("agentcore-api",), "us-east-2")
    asked = plan(aws_region=region, web_search_provider="agentcore-api")
    assert (asked.names, asked.region) == (("agentcore-api",), region)


def test_where_bedrock_is_elsewhere_aws_is_not_asked_to_search():
    found = plan(bedrock_endpoint_url="http://127.0.0.1:8099")
    assert found.names == ()
    assert "WEB_SEARCH_PROVIDER" in found.reason
    named = plan(bedrock_endpoint_url="http://127.0.0.1:8099", web_search_provider="agentcore-api")
    assert named.names == ("agentcore-api",)


def test_who_has_nothing_but_an_amazon_bedrock_api_key_cannot_search_at_aws(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bearer = {"AWS_BEARER_TOKEN_BEDROCK": "ABSK", "AWS_REGION": "us-east-1"}
    found = plan_search(load_settings(environ=bearer, env_file=None))
    assert (found.names, "cannot search" in found.reason) == ((), True)
    keyed = load_settings(environ=bearer | {"WEB_SEARCH_API_KEY": "k"}, env_file=None)
    assert plan_search(keyed).names == ("tavily",)
    assert plan(aws_bearer_token_bedrock="ABSK").names == ("agentcore-api",), "it has AWS keys"
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")
    assert plan_search(load_settings(environ=bearer, env_file=None)).names == ("agentcore-api",)


def test_the_predecessor_s_settings_mean_what_they_did():
    assert made(web_search_api_key="tvly-1") == [("tavily", "api.tavily.com")]
    assert made(web_search_api_key="x", web_search_provider="Brave") == [
        ("brave", "api.search.brave.com")
    ]
    off = plan(enable_web_search="false", web_search_provider="tavily", web_search_api_key="x")
    assert (off.names, "ENABLE_WEB_SEARCH" in off.reason) == ((), True)


def test_a_predecessor_without_its_key_still_starts():
    loaded = settings(web_search_provider="tavily")
    plan_search(loaded)
    searcher = OnDemandSearcher(loaded, lambda: pytest.fail("nothing is made"))
    assert not searcher.enabled
    assert "WEB_SEARCH_API_KEY" in searcher.reason
    with pytest.raises(SearchError, match="WEB_SEARCH_API_KEY") as error:
        asyncio.run(searcher.search(QUERY, key="k"))
    assert error.value.code == "unavailable"
    asyncio.run(searcher.close())


def test_several_with_their_keys_and_addresses():
    found = plan(
        web_search_provider="searxng, tavily,brave",
        web_search_api_key="tavily=a=b, brave=c",
        web_search_url="http://searx.internal:8080/base/",
    )
    assert found.names == ("searxng", "tavily", "brave")
    assert found.keys == {"tavily": "a=b", "brave": "c"}
    assert found.urls == {"searxng": "http://searx.internal:8080/base/"}
    assert plan(web_search_api_key="exa=a,brave=b").names == ("exa", "brave")
    assert plan(web_search_url="searxng=http://a").names == ("searxng",)
    one = plan(web_search_provider="agentcore-api,tavily", web_search_api_key="a=b==")
    assert one.keys == {"tavily": "a=b=="}


def test_one_that_lacks_something_is_left_out_and_told():
    found = plan(web_search_provider="tavily,searxng,agentcore-api", web_search_api_key="k")
    assert found.names == ("tavily", "agentcore-api")
    assert found.reason == "WEB_SEARCH_PROVIDER=searxng needs its address in WEB_SEARCH_URL"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"web_search_url": "http://a"}, "say whose it is, in WEB_SEARCH_PROVIDER"),
        (
            {"web_search_provider": "tavily,brave", "web_search_api_key": "k"},
            "tavily=…,brave=…",
        ),
        (
            {"web_search_provider": "tavily", "web_search_api_key": "brave=k"},
            "names brave, which is not in WEB_SEARCH_PROVIDER",
        ),
        (
            {"web_search_provider": "agentcore,searxng", "web_search_url": "http://a"},
            "agentcore=…,searxng=…",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_at_the_start(given, words):
    with pytest.raises(SettingsError) as refused:
        plan_search(settings(**given))
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEB_SEARCH_PROVIDER", "google"),
        ("WEB_SEARCH_PROVIDER", "auto,tavily"),
        ("WEB_SEARCH_PROVIDER", "tavily,tavily"),
        ("WEB_SEARCH_URL", "searx.internal"),
        ("WEB_SEARCH_URL", "http://user:pw@searx.internal"),
        ("WEB_SEARCH_URL", "searxng=ftp://a"),
        ("WEB_SEARCH_API_KEY", "a key"),
        ("WEB_SEARCH_API_KEY", "kéy"),
        ("WEB_SEARCH_API_KEY", "tavilly=tvly-1"),
        ("WEB_SEARCH_API_KEY", "tavily=tvly-1,brav=BSA"),
        ("WEB_SEARCH_API_KEY", "one,two"),
        ("WEB_SEARCH_PRICE", "-1"),
        ("WEB_SEARCH_PRICE", "cheap"),
        ("WEB_SEARCH_PRICE", "0.0000000001"),
        ("WEB_SEARCH_PRICE", "nan"),
        ("WEB_SEARCH_TIMEOUT", "0"),
        ("WEB_SEARCH_RATE_LIMIT", "-1"),
        ("WEB_SEARCH_REGION", "Frankfurt"),
    ],
)
def test_values_that_cannot_be(name, value):
    with pytest.raises(SettingsError, match=name):
        settings(**{name: value})


def test_the_price_of_a_search_is_exact():
    assert search_price_nano(settings()) == 0
    assert search_price_nano(settings(web_search_price="0.007")) == 7_000_000
    assert search_price_nano(settings(web_search_price="1e-9")) == 1


def test_settings_name_the_back_ends_that_there_are():
    everything = ",".join(rules._SEARCHERS)
    given = {"web_search_provider": everything, "web_search_api_key": "tavily=a,brave=b,exa=c"}
    names = [
        name for name, _ in made(**given, web_search_url="searxng=http://a,agentcore=http://b")
    ]
    assert names == list(rules._SEARCHERS)


def health(searcher):
    [route] = searcher.health().routes()
    reply = asyncio.run(route.methods["GET"](None))
    return reply.status, json.loads(reply.body)


def test_a_worker_makes_back_ends_when_somebody_searches_and_tells_how_it_went():
    with FakeSearch("tavily") as one, FakeSearch("searxng") as two:
        urls = f"tavily={one.url},searxng={two.url}"
        loaded = settings(
            web_search_provider="tavily,searxng",
            web_search_url=urls,
            web_search_api_key="s3cr3t",
            web_search_rate_limit="2",
        )
        wirings = []

        def new_wiring():
            wirings.append(make_wiring(loaded, make_resolver(loaded)))
            return wirings[-1]

        searcher = OnDemandSearcher(loaded, new_wiring)
        status, body = health(searcher)
        assert (status, body["status"], len(body["backends"])) == (200, "idle", 2)
        assert wirings == []

        async def main():
            one.mode = 401
            hits = await searcher.search(QUERY, key="k")
            assert [hit.url for hit in hits] == [hit[0] for hit in HITS]
            assert await searcher.search(QUERY, key="k") == hits
            assert len(two.asked) == 1, "the second came from the cache"
            two.mode = 500
            with pytest.raises(SearchError, match=r"searxng: .*; tavily: ") as failed:
                await searcher.search(SearchQuery("other"), key="k")
            assert failed.value.code == "unavailable"
            with pytest.raises(SearchError, match="WEB_SEARCH_RATE_LIMIT"):
                await searcher.search(SearchQuery("third"), key="k")
            await searcher.close()

        asyncio.run(main())
        assert len(wirings) == 1
        status, body = health(searcher)
        assert (status, body["status"]) == (503, "unhealthy")
        assert [each["failed"] for each in body["backends"]] == [2, 1]
        assert "WEB_SEARCH_API_KEY" in body["backends"][0]["reason"]
        told = json.dumps(body)
        assert "s3cr3t" not in told
        assert "127.0.0.1" not in told
