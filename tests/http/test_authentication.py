"""A key in the operator's header, in `Authorization`, or in both: which one counts."""

from __future__ import annotations

import asyncio

import pytest
from http_client import Client

from anthropic_bedrock_proxy.gateway.admission.authenticator import KeyOptions

MASTER = "sk-master"


def ask(proxy, api_key=None, bearer=None):
    headers = {"x-api-key": api_key, "authorization": bearer and f"Bearer {bearer}"}
    given = {name: value for name, value in headers.items() if value}
    return asyncio.run(Client(proxy.app, "GET", "/v1/models", headers=given).send())


def message(answer):
    assert answer.status in (401, 403), answer.body
    assert answer.headers["x-should-retry"] == "false"
    return answer.json["error"]["message"]


def revoked(proxy):
    return proxy.add_key(deactivated_reason="revoked", is_active=False)


@pytest.mark.parametrize(
    ("api_key", "bearer"),
    [(MASTER, None), (None, MASTER), (MASTER, MASTER), (MASTER, "sk-x"), ("sk-x", MASTER)],
)
def test_any_valid_one_is_accepted(proxy, api_key, bearer):
    assert ask(proxy, api_key, bearer).status == 200
    assert proxy.logged[-1].key_id == "master"


def test_of_two_valid_ones_the_operator_s_header_counts(proxy):
    secret = proxy.add_key()
    assert ask(proxy, secret, MASTER).status == 200
    assert proxy.logged[-1].key_id == f"key_{secret[-6:]}"


def test_beside_a_revoked_one_the_other_counts(proxy):
    assert ask(proxy, revoked(proxy), MASTER).status == 200
    assert ask(proxy, MASTER, revoked(proxy)).status == 200


@pytest.mark.parametrize(
    ("api_key", "bearer", "named"),
    [
        ("sk-x", None, "in `x-api-key` is not known."),
        (None, "sk-x", "in `Authorization` is not known."),
        ("sk-x", "sk-y", "in `x-api-key` is not known, and neither is the one in `Authorization`."),
        (None, None, "No API key: send it as `x-api-key: <key>`"),
    ],
)
def test_the_message_says_which_headers_were_read(proxy, api_key, bearer, named):
    assert named in message(ask(proxy, api_key, bearer))


def test_a_revoked_one_is_told_before_an_unknown_one(proxy):
    for given in ((revoked(proxy), "sk-x"), ("sk-x", revoked(proxy))):
        assert "is not active (revoked)" in message(ask(proxy, *given))


def test_where_no_key_is_required_a_valid_one_counts_all_the_same(make_proxy):
    proxy = make_proxy(keys=KeyOptions(master_api_key=MASTER, require_api_key=False))
    for api_key, bearer in (("sk-x", MASTER), (MASTER, "sk-x")):
        assert ask(proxy, api_key, bearer).status == 200
        assert proxy.logged[-1].key_id == "master"
    assert ask(proxy, "sk-x", "sk-y").status == 200
    assert ask(proxy, revoked(proxy), "sk-x").status == 403
