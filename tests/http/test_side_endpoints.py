from __future__ import annotations

import asyncio
import gzip
import json
import zlib

import pytest
from anthropic.types import ModelInfo
from http_client import Client
from streams import decode, encode

from anthropic_bedrock_proxy.aws_errors import UpstreamRefusal
from anthropic_bedrock_proxy.gateway.admission.authenticator import KeyOptions
from anthropic_bedrock_proxy.http.reply import header_lines
from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds

KEY = {"x-api-key": "sk-master"}
BODY = {"model": "claude-haiku-4-5", "messages": [{"role": "user", "content": "Hello"}]}


def ask(proxy, method, path, headers=None, body=b"", **more):
    headers = KEY if headers is None else headers
    return asyncio.run(Client(proxy.app, method, path, headers=headers, body=body, **more).send())


class TestCounting:
    path = "/v1/messages/count_tokens"

    def test_bedrock_counts(self, proxy):
        proxy.upstream.script.append(encode({"inputTokens": 42}))
        answer = ask(proxy, "POST", self.path, body=BODY)
        assert answer.json == {"input_tokens": 42}
        assert "x-token-count" not in answer.headers
        (call,) = proxy.upstream.calls
        assert call.bedrock_model_id == "anthropic.claude-haiku-4-5-20251001-v1:0"
        assert call.operation == "count-tokens"

    def test_the_end_of_a_model_is_told(self, proxy):
        proxy.upstream.script.append(encode({"inputTokens": 42}))
        body = {**BODY, "model": "claude-opus-4-1"}
        answer = ask(proxy, "POST", self.path, body=body)
        assert answer.headers["x-proxy-warning"] == (
            "model: claude-opus-4-1-20250805 is retired on 2027-01-08"
        )

    def test_an_estimate_says_so_and_is_remembered(self, proxy):
        refusal = UpstreamRefusal(
            "ValidationException", "The provided model doesn't support counting tokens."
        )
        proxy.upstream.script.append(refusal)
        for _ in range(2):
            answer = ask(proxy, "POST", self.path, body=BODY)
            assert answer.json["input_tokens"] > 5
            assert answer.headers["x-token-count"] == "estimate"
        assert len(proxy.upstream.calls) == 1

    def test_the_mantle_endpoint_counts_for_the_models_it_serves(self, proxy):
        proxy.upstream.script.append(b'{"input_tokens":7}')
        body = {**BODY, "model": "claude-opus-5-5", "max_tokens": 5, "stream": True}
        answer = ask(proxy, "POST", self.path, body=body)
        assert answer.json == {"input_tokens": 7}
        (call,) = proxy.upstream.calls
        assert call.operation == "mantle-count-tokens"
        assert decode(call.body) == {
            "model": "anthropic.claude-opus-5-5",
            "messages": BODY["messages"],
        }

    def test_an_endpoint_that_cannot_count_is_left_alone_for_a_while(self, proxy):
        proxy.upstream.script.append(UpstreamRefusal("AccessDeniedException", "no"))
        for _ in range(2):
            answer = ask(proxy, "POST", self.path, body={**BODY, "model": "claude-opus-5-5"})
            assert answer.headers["x-token-count"] == "estimate"
        assert len(proxy.upstream.calls) == 1

    def test_other_refusals_are_errors(self, proxy):
        proxy.upstream.script.append(UpstreamRefusal("ThrottlingException", "slow"))
        assert ask(proxy, "POST", self.path, body=BODY).status == 429


class TestModels:
    def test_list_and_paging(self, proxy):
        everything = ask(proxy, "GET", "/v1/models?limit=1000").json
        ids = [model["id"] for model in everything["data"]]
        assert everything["has_more"] is False
        assert (everything["first_id"], everything["last_id"]) == (ids[0], ids[-1])
        seen, after = [], ""
        while True:
            page = ask(proxy, "GET", f"/v1/models?limit=4{after}").json
            seen += [model["id"] for model in page["data"]]
            if not page["has_more"]:
                break
            after = f"&after_id={page['last_id']}"
        assert seen == ids
        page = ask(proxy, "GET", f"/v1/models?limit=2&before_id={ids[3]}").json
        assert [model["id"] for model in page["data"]] == ids[1:3]
        assert page["has_more"] is True

    def test_lifecycles(self, proxy):
        answer = ask(proxy, "GET", "/v1/models?lifecycle%5B%5D=deprecated").json
        assert {model["lifecycle"] for model in answer["data"]} == {"deprecated"}
        retired = ask(proxy, "GET", "/v1/models?lifecycle[]=retired").json["data"]
        assert {model["lifecycle"] for model in retired} == {"retired"}
        with_default = ask(proxy, "GET", "/v1/models?limit=1000").json["data"]
        assert not {model["id"] for model in retired} & {model["id"] for model in with_default}

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=x", "limit=1001", "after_id=nope", "lifecycle[]=odd"]
    )
    def test_bad_queries(self, proxy, query):
        answer = ask(proxy, "GET", f"/v1/models?{query}")
        assert answer.status == 400
        assert answer.json["error"]["message"].startswith(query.partition("=")[0].strip("[]"))

    def test_two_cursors(self, proxy):
        assert ask(proxy, "GET", "/v1/models?after_id=a&before_id=b").status == 400

    @pytest.mark.parametrize(
        "name",
        [
            "claude-haiku-4-5-20251001",
            "claude-haiku-4-5",
            "us.anthropic.claude-haiku-4-5-20251001-v1:0",
        ],
    )
    def test_retrieve(self, proxy, name):
        model = ask(proxy, "GET", f"/v1/models/{name}").json
        assert model["id"] == (name if "." in name else "claude-haiku-4-5-20251001")
        assert model["created_at"] == "2025-10-15T00:00:00Z"
        assert model["type"] == "model"

    @pytest.mark.parametrize(
        "name",
        [
            "claude-opus-4-8[1m]",
            "anthropic.claude-sonnet-9",
            "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc",
        ],
    )
    def test_whatever_messages_take_is_described_under_its_name(self, proxy, name):
        model = ask(proxy, "GET", f"/v1/models/{name}").json
        assert model["id"] == name
        assert ("capabilities" in model) == (not name.startswith("arn:"))

    def test_the_official_type_reads_it_all(self, proxy):
        for raw in ask(proxy, "GET", "/v1/models?limit=1000").json["data"]:
            model = ModelInfo.model_validate(raw)
            assert model.capabilities.thinking.types.adaptive is not None
            assert not ModelInfo.model_validate(raw).model_extra
        assert raw["line"] is None

    def test_capabilities_are_those_of_the_model(self, proxy):
        opus = ask(proxy, "GET", "/v1/models/claude-opus-5-5").json
        assert opus["line"] == "opus"
        assert opus["capabilities"]["thinking"]["types"] == {
            "adaptive": {"supported": True},
            "between_tools": {"supported": True},
            "disabled": {"supported": False},
            "enabled": {"supported": False},
        }
        micro = ask(proxy, "GET", "/v1/models/amazon.nova-micro-v1:0").json
        assert micro["capabilities"]["image_input"] == {"supported": False}
        assert micro["capabilities"]["effort"]["supported"] is False
        sonnet = ask(proxy, "GET", "/v1/models/claude-sonnet-4-5").json
        assert (sonnet["lifecycle"], sonnet["retires_at"]) == ("deprecated", "2027-04-08T00:00:00Z")

    def test_unknown(self, proxy):
        answer = ask(proxy, "GET", "/v1/models/gpt-4")
        assert (answer.status, answer.json["error"]["type"]) == (404, "not_found_error")


class TestProbes:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("HEAD", "/"),
            ("GET", "/"),
            ("HEAD", "/api/hello"),
            ("GET", "/health"),
            ("GET", "/ready"),
            ("GET", "/liveness"),
        ],
    )
    def test_answer_without_a_key(self, proxy, method, path):
        answer = ask(proxy, method, path, headers={})
        assert answer.status == 200
        assert "request-id" in answer.headers
        assert (answer.body == b"") == (method == "HEAD")

    def test_event_logging_is_swallowed(self, proxy):
        path = "/api/event_logging/batch"
        assert ask(proxy, "POST", path, headers={}, body={"events": []}).json == {"status": "ok"}

    def test_draining(self, proxy):
        proxy.health.draining = True
        answer = ask(proxy, "GET", "/ready")
        assert (answer.status, answer.json["missing"]) == (503, ["draining"])
        assert answer.json["components"]["draining"]["state"] == "degraded"
        health = ask(proxy, "GET", "/health")
        assert (health.status, health.json["status"]) == (200, "degraded")


class TestErrorsOfTheHTTPSide:
    def test_unknown_path(self, proxy):
        answer = ask(proxy, "GET", "/v2/else")
        assert answer.status == 404
        assert answer.json["type"] == "error"
        assert answer.json["request_id"] == answer.headers["request-id"]

    @pytest.mark.parametrize("path", ["/v1/messages", "/v1/models/", "/health"])
    def test_wrong_method(self, proxy, path):
        answer = ask(proxy, "DELETE", path)
        assert answer.status == 405
        assert answer.headers["allow"]

    def test_options_says_what_a_path_serves(self, proxy):
        answer = ask(proxy, "OPTIONS", "/v1/messages", headers={})
        assert (answer.status, answer.headers["allow"], answer.body) == (204, "POST, OPTIONS", b"")
        assert not [name for name in answer.headers if name.startswith("access-control")]
        assert ask(proxy, "OPTIONS", "*", headers={}).headers["allow"] == "OPTIONS"
        assert ask(proxy, "OPTIONS", "/nowhere", headers={}).status == 404


class TestKeys:
    @pytest.mark.parametrize(
        "headers",
        [
            {"x-api-key": "sk-master"},
            {"authorization": "Bearer sk-master"},
            {"authorization": "bearer  sk-master "},
            {"x-api-key": "sk-master", "authorization": "Bearer other"},
        ],
    )
    def test_accepted(self, proxy, headers):
        assert ask(proxy, "GET", "/v1/models", headers=headers).status == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"x-api-key": ""},
            {"x-api-key": "sk-other"},
            {"authorization": "Basic sk-master"},
            {"authorization": "Bearer"},
            {"x-api-key": "\udcff"},
        ],
    )
    def test_refused(self, proxy, headers):
        answer = ask(proxy, "GET", "/v1/models", headers=headers)
        assert (answer.status, answer.json["error"]["type"]) == (401, "authentication_error")

    def test_another_header(self, make_proxy):
        proxy = make_proxy(keys=KeyOptions(master_api_key="k", header="X-Our-Key"))
        assert ask(proxy, "GET", "/v1/models", headers={"x-our-key": "k"}).status == 200
        assert ask(proxy, "GET", "/v1/models", headers={"x-api-key": "k"}).status == 401

    def test_no_key_required(self, make_proxy, message):
        proxy = make_proxy(keys=KeyOptions(require_api_key=False))
        proxy.upstream.script += [message, message]
        body = {**BODY, "max_tokens": 5}
        assert ask(proxy, "POST", "/v1/messages", headers={}, body=body).status == 200
        headers = {"x-api-key": "whatever"}
        assert ask(proxy, "POST", "/v1/messages", headers=headers, body=body).status == 200
        assert [record.key_id for record in proxy.records] == ["anonymous", "anonymous"]

    def test_too_many_wrong_ones_from_one_client_behind_a_balancer(self, make_proxy):
        proxy = make_proxy(trusted_networks=("127.0.0.0/8",), monotonic=lambda: 1000.0)

        def try_from(address, number):
            headers = {"x-api-key": f"sk-{address}-{number}", "x-forwarded-for": address}
            return ask(proxy, "GET", "/v1/models", headers=headers)

        statuses = [try_from("192.0.2.1", number).status for number in range(60)]
        assert statuses == [401] * 50 + [429] * 10
        answer = try_from("192.0.2.1", 60)
        assert answer.json["error"]["type"] == "rate_limit_error"
        assert answer.headers["retry-after"] == "1"
        assert try_from("192.0.2.2", 0).status == 401


class TestBodies:
    path = "/v1/messages"

    def send(self, make_proxy, body, headers=None, **options):
        proxy = make_proxy(**options)
        return ask(proxy, "POST", self.path, headers=KEY | (headers or {}), body=body)

    def test_in_parts(self, make_proxy, message):
        proxy = make_proxy()
        proxy.upstream.script.append(message)
        data = json.dumps({**BODY, "max_tokens": 5}).encode()
        parts = [data[i : i + 7] for i in range(0, len(data), 7)]
        assert ask(proxy, "POST", "/v1/messages", body=parts).status == 200

    @pytest.mark.parametrize(
        ("encoding", "pack"),
        [
            ("gzip", gzip.compress),
            ("GZIP ", gzip.compress),
            ("deflate", zlib.compress),
            ("identity", bytes),
        ],
    )
    def test_encodings(self, make_proxy, message, encoding, pack):
        proxy = make_proxy()
        proxy.upstream.script.append(message)
        body = pack(json.dumps({**BODY, "max_tokens": 5}).encode())
        headers = KEY | {"content-encoding": encoding}
        assert ask(proxy, "POST", self.path, headers=headers, body=body).status == 200

    @pytest.mark.parametrize(
        ("encoding", "data", "code"),
        [
            ("br", b"", "request_body_encoding_unsupported"),
            ("gzip", b"plain", "request_body_encoding_invalid"),
            ("gzip", gzip.compress(b"{}" * 99, mtime=0)[:-9], "request_body_encoding_invalid"),
        ],
    )
    def test_bad_encodings(self, make_proxy, encoding, data, code):
        answer = self.send(make_proxy, data, {"content-encoding": encoding})
        assert answer.status == 400
        assert answer.json["error"]["details"] == {"error_code": code}

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (b"x" * 11, {}),
            ([b"x" * 6, b"x" * 6], {}),
            (b"", {"content-length": "11"}),
            (gzip.compress(b"x" * 11), {"content-encoding": "gzip"}),
        ],
        ids=["whole", "in parts", "announced", "decompressed"],
    )
    def test_too_large(self, make_proxy, body, headers):
        limit = 100 if "content-encoding" in headers else 10
        if "content-encoding" in headers:
            body = gzip.compress(b"x" * 101)
        answer = self.send(make_proxy, body, headers, max_bytes=limit)
        assert (answer.status, answer.json["error"]["type"]) == (413, "request_too_large")

    @pytest.mark.parametrize("body", [[None], [b"{", None]], ids=["at once", "in the middle"])
    def test_too_slow(self, make_proxy, body):
        async def main():
            client = Client(make_proxy().app, "POST", self.path, headers=KEY, body=body)
            task = asyncio.create_task(client.send())
            for _ in range(10):
                await asyncio.sleep(0)
            client.connection.pass_time(ConnectionBounds().body_seconds - 1)
            await asyncio.sleep(0)
            assert not client.answer.status
            client.connection.pass_time(1)
            return await task

        answer = asyncio.run(main())
        assert answer.status == 400
        assert answer.headers["connection"] == "close"
        assert answer.json["error"]["details"] == {"error_code": "request_body_timeout"}

    @pytest.mark.parametrize("body", [[None], [b"{", None]])
    def test_a_client_that_leaves_gets_nothing(self, make_proxy, body):
        async def main():
            proxy = make_proxy()
            client = Client(proxy.app, "POST", self.path, headers=KEY, body=body)
            client.leave()
            answer = await client.send()
            assert answer.status == 0
            assert proxy.logged[0].client_gone

        asyncio.run(main())


class TestEvents:
    path = "/api/event_logging/batch"

    @pytest.mark.parametrize("body", [b"x" * 65536, [b"x" * 60_000, b"y"], b""])
    def test_are_taken_without_a_key_and_never_decoded(self, proxy, body):
        headers = {"content-encoding": "gzip"}
        answer = ask(proxy, "POST", self.path, headers=headers, body=body)
        assert (answer.status, answer.json) == (200, {"status": "ok"})

    @pytest.mark.parametrize("body", [b"x" * 65537, [b"x" * 40_000] * 2])
    def test_are_bounded(self, proxy, body):
        answer = ask(proxy, "POST", self.path, headers={}, body=body)
        assert (answer.status, answer.json["error"]["type"]) == (413, "request_too_large")


def test_no_value_of_a_header_ends_its_line_before_its_time():
    headers = [(b"x-a", b"1"), (b"x-b", b"2\r\nx-c: 3"), (b"x-d", b"4\n5\0\r")]
    assert header_lines(headers) == b"x-a: 1\r\nx-b: 2  x-c: 3\r\nx-d: 4 5  \r\n"
    assert header_lines(headers[:1]) == b"x-a: 1\r\n"


@pytest.mark.parametrize("limit", ["9" * 5000, "0", "-1", "x", "1001"])
def test_a_limit_that_is_none_is_refused(proxy, limit):
    answer = ask(proxy, "GET", f"/v1/models?limit={limit}")
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")


def test_an_error_repeats_little_of_a_path(proxy):
    answer = ask(proxy, "PUT", "/v1/models/" + "a" * 10_000)
    assert answer.status == 405
    assert len(answer.body) < 500
