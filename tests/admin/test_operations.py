"""What the operations take, refuse and answer, beyond what the commands show."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import pytest
from admin_cases import HAIKU, prepare

from anthropic_bedrock_proxy.admin.scopes import MASTER
from anthropic_bedrock_proxy.app.admin import build_admin
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.store.base.callers import NewSecret
from anthropic_bedrock_proxy.store.base.errors import StoreError
from anthropic_bedrock_proxy.store.base.usage import UsageBatch, UsageRecord
from anthropic_bedrock_proxy.store.secrets import hash_secret

NEW = {"name": "a"}


def refused(answer, status, kind="invalid_request_error"):
    assert (answer.status, answer.json["error"]["type"]) == (status, kind), answer.body
    return answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("body", "begins"),
    [
        ({}, "name: required"),
        ({"name": ""}, "name: "),
        ({"name": "  "}, "name: "),
        ({"name": 5}, "name: "),
        ({**NEW, "id": "key_mine"}, "id: no such field"),
        ({**NEW, "is_new": False}, "is_new: no such field"),
        ({**NEW, "secret_sha256": "AB" * 32}, "secret_sha256: "),
        ({**NEW, "secret_hint": "sk-...abcd"}, "secret_hint: belongs to secret_sha256"),
        ({**NEW, "secret_sha256": "ab" * 32, "secret_hint": "sk-secret"}, "secret_hint: "),
        (
            {**NEW, "secret_sha256": "ab" * 32, "admin_scopes": ["keys:read"]},
            "secret_sha256: a key with admin scopes",
        ),
        ({**NEW, "rate_limit": 0}, "rate_limit: "),
        ({**NEW, "rate_limit": 1.5}, "rate_limit: "),
        ({**NEW, "rate_limit": "5"}, "rate_limit: "),
        ({**NEW, "tpm_limit": 10**13}, "tpm_limit: "),
        ({**NEW, "monthly_budget_usd": -1}, "monthly_budget_usd: not an amount from 0"),
        ({**NEW, "daily_budget_usd": 1e-10}, "daily_budget_usd: finer than"),
        ({**NEW, "total_budget_usd": "NaN"}, "total_budget_usd: "),
        ({**NEW, "total_budget_usd": True}, "total_budget_usd: "),
        ({**NEW, "service_tier": "gold"}, "service_tier: "),
        ({**NEW, "cache_ttl": "2h"}, "cache_ttl: "),
        ({**NEW, "expires_at": "tomorrow"}, "expires_at: "),
        ({**NEW, "expires_at": 5}, "expires_at: "),
        ({**NEW, "allowed_models": "claude-*"}, "allowed_models: "),
        ({**NEW, "expires_at": "9999-12-31T23:59:59-01:00"}, "expires_at: "),
        ({**NEW, "allowed_models": ["ok", "a b"]}, "allowed_models[1]: "),
        ({**NEW, "allowed_models": ["a"] * 101}, "allowed_models: "),
        ({**NEW, "allowed_tools": [""]}, "allowed_tools[0]: "),
        ({**NEW, "allowed_networks": ["10.0.0.0/8", "10.0.0.1/8"]}, "allowed_networks[1]: "),
        ({**NEW, "admin_scopes": ["keys:read", "keys:all"]}, "admin_scopes[1]: "),
        (b"[]", "body: "),
        (b"{", "The body is not JSON"),
        (b"\xff", "The body is not JSON"),
        (b'{"name": "\xff"}', "The body is not JSON"),
    ],
)
def test_a_wrong_field_is_named(site, body, begins):
    assert refused(site.send("POST", "keys", body), 400).startswith(begins)
    assert site.send("GET", "keys").json == {"keys": [], "next": None}


@pytest.mark.parametrize(
    ("path", "begins"),
    [
        ("keys?limit=0", "limit: "),
        ("keys?limit=x", "limit: "),
        ("keys?surprise=1", "surprise: no such field"),
        ("keys?after=nobody", "after: "),
        ("keys?limit=1&limit=2", "A parameter of the query string is given twice"),
        ("usage?since=yesterday", "since: "),
        ("usage?until=2026-01-01T12:00:00Z", "until: "),
        ("usage?by=key,hour", "by: 'hour' is none of"),
        ("usage?by=", "by: "),
        ("usage/records?format=xml", "format: "),
        ("usage/records?since=1969-01-01", "since: "),
        ("usage/records?since=9999-12-31T23:59:59-01:00", "since: "),
        ("usage?since=9999-12-31T23:00:00-01:00", "since: "),
        ("audit?limit=1001", "limit: "),
        ("betas?kind=flag", "kind: "),
        ("betas?model=gpt-4", "gpt-4 cannot be routed"),
    ],
)
def test_a_wrong_parameter_is_named(site, path, begins):
    assert refused(site.send("GET", path), 400).startswith(begins)


def test_null_clears_and_what_is_left_out_stays(site):
    body = {
        **NEW,
        "monthly_budget_usd": 0.1,
        "user_id": "u",
        "expires_at": "2040-01-01",
        "allowed_models": ["x"],
    }
    created = site.send("POST", "keys", body)
    assert created.status == 201
    path = f"keys/{created.json['id']}"
    changed = site.send("PATCH", path, {"rate_limit": 5}).json
    assert changed["expires_at"] == "2040-01-01T00:00:00Z"
    assert (changed["monthly_budget_usd"], changed["user_id"]) == (0.1, "u")
    nulls = dict.fromkeys((*(name for name in body if name != "name"), "rate_limit"))
    cleared = site.send("PATCH", path, nulls).json
    assert cleared["allowed_models"] == []
    assert {cleared[name] for name in nulls if name != "allowed_models"} == {None}
    assert refused(site.send("PATCH", path, {"name": None}), 400).startswith("name: ")
    assert refused(site.send("PATCH", path, {}), 400).startswith("body: nothing to change")


def test_a_key_may_bring_the_hash_of_its_secret_and_that_is_told_to_nobody(site):
    digest = hash_secret("sk-of-another-gateway")
    body = {**NEW, "secret_sha256": digest.hex(), "secret_hint": "sk-...eway"}
    created = site.send("POST", "keys", body)
    assert created.status == 201
    assert (created.json["secret_hint"], "key" in created.json) == ("sk-...eway", False)
    found = asyncio.run(site.store.keys.find(digest, now=1))
    assert found.key.id == created.json["id"]
    assert "already" in refused(site.send("POST", "keys", body), 409, "conflict_error")
    assert digest.hex() not in site.send("GET", "audit").body.decode() + created.body.decode()
    unnamed = {**NEW, "secret_sha256": hash_secret("sk-b").hex()}
    assert site.send("POST", "keys", unnamed).json["secret_hint"] == "sk-...????"


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("keys", NEW, "revoked"),
        ("teams", {"id": "red"}, "disabled"),
        ("users", {"id": "ann"}, "disabled"),
    ],
)
def test_what_is_made_inactive_never_worked(site, path, body, reason):
    made = site.send("POST", path, {**body, "is_active": False}).json
    assert (made["is_active"], made["deactivated_reason"]) == (False, reason)


def test_money_keeps_its_digits(site):
    for text in ("8999999999.123456789", "0.000000001", "0.1", "12", "0"):
        body = b'{"name": "a", "monthly_budget_usd": %s}' % text.encode()
        created = site.send("POST", "keys", body)
        shown = json.loads(created.body, parse_float=Decimal)["monthly_budget_usd"]
        assert shown == Decimal(text)
        after = json.loads(site.send("GET", "audit?limit=1").body, parse_float=Decimal)
        assert after["records"][0]["after"]["monthly_budget_usd"] == Decimal(text)


def test_pages_of_keys(site):
    made = []
    for number in range(5):
        for _ in range(number):
            site.send("POST", "keys", {"name": "other"})
        made.append(site.send("POST", "keys", {"name": str(number), "user_id": "u"}).json)
    found, after = [], ""
    while after is not None:
        page = site.send("GET", f"keys?user_id=u&limit=2{after and '&after='}{after}").json
        assert len(page["keys"]) <= 2
        found += [key["id"] for key in page["keys"]]
        after = page["next"]
    assert sorted(found) == sorted(key["id"] for key in made)


def test_usage_pages_and_formats(site):
    records = tuple(
        UsageRecord(
            id=f"req_{number}",
            key_id="k",
            at_ms=number,
            model="m,1",
            bedrock_model_id="b",
            dialect="invoke",
            cost_nano=number,
        )
        for number in range(5)
    )
    asyncio.run(site.store.usage.append(UsageBatch(records)))
    first = site.send("GET", "usage/records?limit=3&format=csv")
    assert first.headers["content-type"] == "text/csv; charset=utf-8"
    lines = first.body.decode().splitlines()
    assert lines[0].startswith("id,at,key_id,model")
    assert lines[1].startswith('req_0,1970-01-01T00:00:00.000Z,k,"m,1"')
    after = first.headers["x-next-after"]
    rest = site.send("GET", f"usage/records?limit=3&format=csv&after={after}")
    assert [line[:5] for line in rest.body.decode().splitlines()] == ["req_3", "req_4"]
    assert "x-next-after" not in rest.headers
    lines = site.send("GET", "usage/records?format=jsonl&limit=5").body.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [record.id for record in records]
    page = site.send("GET", "usage/records?limit=5").json
    assert page["next"] == "req_4"
    assert site.send("GET", "usage/records?after=req_4").json == {"records": [], "next": None}


def test_what_exists_is_not_made_again(site):
    prepare(site)
    for path, body in (
        ("users", {"id": "ann"}),
        ("teams", {"id": "red"}),
        ("providers", {"name": "west", "region": "us-west-2"}),
    ):
        refused(site.send("POST", path, body), 409, "conflict_error")
    assert site.audit() == []


def test_a_provider_with_keys_is_kept(site):
    prepare(site)
    assert site.send("PATCH", "keys/key_target", {"provider": "west"}).status == 200
    message = refused(site.send("DELETE", "providers/west"), 409, "conflict_error")
    assert "key_target" in message
    message = refused(
        site.send("PATCH", "keys/key_target", {"provider": "x"}), 404, "not_found_error"
    )
    assert "no provider is called x" in message


@pytest.mark.parametrize(
    ("fields", "begins"),
    [
        ({"access_key_id": "a"}, "secret_access_key: "),
        ({"session_token": "a"}, "session_token: "),
        ({"bearer_token": "a", "profile": "p"}, "profile: "),
        ({"bearer_token": "a b"}, "bearer_token: "),
        ({"bearer_token": "a\n"}, "bearer_token: "),
        ({"external_id": "a"}, "external_id: "),
        ({"role_arn": "role"}, "role_arn: "),
        ({"endpoint_url": "ftp://x"}, "endpoint_url: "),
        ({"endpoint_url": "https://u:p@x"}, "endpoint_url: "),
        ({"endpoint_url": "https://[::1"}, "endpoint_url: "),
        ({"endpoint_url": "https://x:99999"}, "endpoint_url: "),
        ({"mantle_endpoint_url": "https:///x"}, "mantle_endpoint_url: "),
        ({"bearer_token": "a", "role_arn": "arn:aws:iam::123456789012:role/r"}, "role_arn: "),
        ({"region": "west"}, "region: "),
        ({"name": "default"}, "name: "),
    ],
)
def test_a_wrong_provider(site, fields, begins):
    body = {"name": "east", "region": "us-east-2", **fields}
    assert refused(site.send("POST", "providers", body), 400).startswith(begins)
    assert site.send("GET", "providers").json == {"providers": [], "problems": []}


def test_ids_with_any_character(site):
    for identity in ("a/b", "a%2Fb", "a?b", "..", "ü@x".encode("ascii", "ignore").decode()):
        assert site.send("POST", "users", {"id": identity}).status == 201
    assert refused(site.send("POST", "users", {"id": "a b"}), 400).startswith("id: ")
    assert refused(site.send("POST", "users", {"id": "a\n"}), 400).startswith("id: ")
    assert site.send("GET", "users/a%2Fb").json["id"] == "a/b"
    assert site.send("GET", "users/a%252Fb").json["id"] == "a%2Fb"
    assert site.send("GET", "users/a%3Fb").json["id"] == "a?b"


def test_a_change_without_its_record_is_said(site):
    """The key was revoked: whoever asked must not believe that nothing happened."""
    prepare(site)

    class Full:
        async def append(self, _record):
            raise StoreError("the disk is full")

    site.store.audit = Full()
    message = refused(site.send("POST", "keys/key_target/revoke"), 503, "api_error")
    assert message.startswith("keys.revoke of key_target was done, but the audit log did not")
    assert message.endswith("the disk is full")
    assert site.send("GET", "keys/key_target").json["is_active"] is False


def test_a_client_that_leaves_takes_no_record_along(site):
    """Whoever may change something cannot keep it out of the audit log by hanging up."""
    prepare(site)
    settings = load_settings(None, environ={}, env_file=None)
    audit = site.store.audit

    class Waiting:
        def __init__(self):
            self.reached, self.released = asyncio.Event(), asyncio.Event()

        async def append(self, record):
            self.reached.set()
            await self.released.wait()
            await audit.append(record)

    async def story():
        waiting = site.store.audit = Waiting()
        api = build_admin(settings, site.store)
        path = "/admin/api/keys/key_target/revoke"
        task = asyncio.create_task(api.dispatch(MASTER, "POST", path, {}, b""))
        await waiting.reached.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        waiting.released.set()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(story())
    (record,) = asyncio.run(audit.list())
    assert (record.action, record.object) == ("keys.revoke", "key_target")


def test_a_key_that_was_revoked_elsewhere_helps_itself_to_nothing(site):
    """What this worker remembers of a key may be seconds old: not where keys are changed."""
    site.key("mine", scopes=["keys:read", "keys:write"])
    assert site.send("GET", "keys", secret="mine").status == 200
    revoked = {"is_active": False}
    asyncio.run(site.store.keys.update("key_mine", revoked, now=2))  # by another process
    for path in ("keys/key_mine/reactivate", "keys/key_mine/rotate"):
        refused(site.send("POST", path, secret="mine"), 403, "permission_error")
    site.key("old", scopes=["keys:read", "keys:write"])
    assert site.send("GET", "keys", secret="old").status == 200
    rotation = site.store.keys.rotate("key_old", NewSecret(b"n" * 32, "h"), now=2)
    asyncio.run(rotation)
    path = "keys/key_old/rotate"
    refused(site.send("POST", path, secret="old"), 401, "authentication_error")
    assert site.audit() == []


def test_a_changed_key_is_looked_up_again(site):
    site.key("mine", scopes=["keys:read"])
    assert site.send("GET", "keys", secret="mine").status == 200
    assert site.send("POST", "keys/key_mine/revoke").status == 200
    assert site.send("GET", "keys", secret="mine").status == 403


def test_a_large_body_is_refused(site):
    message = refused(site.send("POST", "keys", b" " * (1 << 20) + b"{}"), 413, "request_too_large")
    assert "limit" in message


def test_names_fit_the_keys_of_every_store(site):
    """DynamoDB takes 1 KB for a key; a change whose record does not fit must not be made."""
    for name in ("a" * 201, "\N{SNOWMAN}" * 201):
        body = {"alias": name, "bedrock_id": f"us.{HAIKU}"}
        assert refused(site.send("PUT", "models/mappings", body), 400).startswith("alias: ")
        body = {"model": f"us.anthropic.claude-{name}", "input_usd": 1, "output_usd": 1}
        assert refused(site.send("PUT", "prices", body), 400).startswith("model: ")
    body = {"models": [{"id": "", "name": "n", "provider": "p"}]}
    assert refused(site.send("PUT", "models/offered", body), 400).startswith("models[0].id: ")


def test_a_moment_that_others_wrote_shows_though_no_date_holds_it(site):
    """A table of the predecessor may say milliseconds: that must not hide every key."""
    site.key("odd", expires_at=1_795_392_000_000)
    (key,) = site.send("GET", "keys").json["keys"]
    assert key["expires_at"] == "9999-12-31T23:59:59Z"


def test_models_are_under_the_stored_mappings_only(site):
    """Validating a mapping leaves nothing behind in what others see."""
    assert site.send("PUT", "models/mappings", {"alias": "x", "bedrock_id": "gpt"}).status == 400
    assert site.send("GET", "models").json["mapped"] == []
    body = {"alias": "fast", "bedrock_id": f"us.{HAIKU}", "dialect": "soap"}
    assert refused(site.send("PUT", "models/mappings", body), 400).startswith("dialect: ")


def test_a_synced_name_is_listed_by_where_it_is_from_and_whether_it_holds(site):
    names = {"fast": f"us.{HAIKU}", "mine": f"us.{HAIKU}", "lost": "gpt"}
    body = {"source": "https://example.com/names.json", "mappings": names}
    assert site.send("PUT", "models/mappings/synced", body).json["left_out"] == ["lost"]
    own = {"alias": "mine", "bedrock_id": "claude-opus-4-8"}
    assert site.send("PUT", "models/mappings", own).status == 200
    listed = site.send("GET", "models").json["mapped"]
    assert [(row["alias"], row["source"], row["in_force"]) for row in listed] == [
        ("mine", "store", True),
        ("fast", "synced", True),
        ("mine", "synced", False),
    ]


@pytest.mark.parametrize(
    "amount", ["NaN", "Infinity", "-1", "1e-999999999", "1e30", "x", "", "0", "0.00"]
)
def test_a_price_list_has_amounts_that_a_request_can_be_charged(site, amount):
    text = f"model,place,input,output\nm.x,us,1,2\nm.y,us,{amount},2\n"
    answer = site.send("PUT", "prices/synced", {"source": "x", "text": text})
    assert refused(answer, 400).startswith("text: ")
    assert {row["source"] for row in site.send("GET", "prices").json["prices"]} == {"shipped"}


@pytest.mark.parametrize(
    "row",
    [
        "x" * 200_000 + ",us,1,2",
        "m.x,us,1,2,3",
        '"m\nx",us,1,2\n"m\n\n y",us,1,2',
        "m.\x1b[31mx,us,1,2",
        "m.x,u s,1,2",
        f"m.x,{'u' * 99},1,2",
        'm.x,us,"1',
    ],
)
def test_a_price_list_has_models_and_places(site, row):
    text = f"model,place,input,output\n{row}\n"
    answer = site.send("PUT", "prices/synced", {"source": "x", "text": text})
    assert refused(answer, 400).startswith("text: ")
    assert {row["source"] for row in site.send("GET", "prices").json["prices"]} == {"shipped"}
