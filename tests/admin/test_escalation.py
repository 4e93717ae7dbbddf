"""Nobody gives, or takes over, more than it has."""

from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.admin.scopes import EVERYTHING, SCOPES, Actor
from anthropic_bedrock_proxy.app.admin import build_admin
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.errors import ConflictError
from anthropic_bedrock_proxy.store.base.callers import NewSecret, OwnerRecord

OWN = ("keys:read", "keys:write", "usage:read")


@pytest.fixture
def admin(site):
    site.key("mine", scopes=OWN)

    def send(method, path, body=None):
        return site.send(method, path, body, secret="mine")

    return send


def scopes_of(site, key_id):
    return site.send("GET", f"keys/{key_id}").json["admin_scopes"]


def assert_refused(site, answer):
    assert (answer.status, answer.json["error"]["type"]) == (403, "permission_error")
    assert site.audit() == []


@pytest.mark.parametrize("scope", sorted(SCOPES - set(OWN)))
def test_no_scope_is_granted_that_one_lacks(site, admin, scope):
    site.key("client")
    body = {"admin_scopes": ["keys:read", scope]}
    assert_refused(site, admin("POST", "keys", {"name": "a", **body}))
    assert_refused(site, admin("PATCH", "keys/key_client", body))
    assert_refused(site, admin("PATCH", "keys/key_mine", body))
    assert scopes_of(site, "key_client") == []
    assert scopes_of(site, "key_mine") == list(OWN)


@pytest.mark.parametrize("scopes", [(EVERYTHING,), ("audit:read",), (*OWN, "prices:write")])
def test_no_key_is_touched_that_may_do_more(site, admin, scopes):
    site.key("boss", scopes=scopes)
    path = "keys/key_boss"
    assert_refused(site, admin("PATCH", path, {"name": "x"}))
    assert_refused(site, admin("PATCH", path, {"admin_scopes": []}))
    assert_refused(site, admin("PATCH", path, {"expires_at": "2001-01-01"}))
    assert_refused(site, admin("POST", f"{path}/rotate"))
    assert_refused(site, admin("POST", f"{path}/revoke"))
    assert_refused(site, admin("POST", f"{path}/reactivate"))
    after = admin("GET", path).json
    assert (after["admin_scopes"], after["name"]) == (list(scopes), "boss")
    assert (after["is_active"], after["expires_at"]) == (True, None)


def test_what_one_has_may_be_granted_and_taken(site, admin):
    made = admin("POST", "keys", {"name": "a", "admin_scopes": list(OWN)})
    assert made.status == 201
    path = f"keys/{made.json['id']}"
    assert admin("PATCH", path, {"admin_scopes": ["usage:read"]}).status == 200
    assert admin("POST", f"{path}/rotate").status == 200
    assert admin("POST", f"{path}/revoke").status == 200
    assert {record.actor for record in site.audit()} == {"key_mine"}


def test_admin_stands_for_every_scope_and_only_it_grants_itself(site):
    site.key("boss", scopes=[EVERYTHING])
    body = {"name": "a", "admin_scopes": sorted(SCOPES)}
    assert site.send("POST", "keys", body, secret="boss").status == 201
    site.key("all", scopes=SCOPES - {EVERYTHING})
    assert site.send("POST", "keys", body, secret="all").status == 403
    assert site.send("POST", "keys/key_boss/rotate", secret="all").status == 403


def status_of(site, secret):
    return site.send("GET", "keys", secret=secret).status


@pytest.mark.parametrize("overlap_seconds", [0, 3600])
def test_a_secret_from_before_a_grant_has_nothing_of_it(site, admin, overlap_seconds):
    made = admin("POST", "keys", {"name": "a"}).json
    path = f"keys/{made['id']}"
    rotated = admin("POST", f"{path}/rotate", {"overlap_seconds": overlap_seconds}).json
    granted = site.send("PATCH", path, {"admin_scopes": ["admin"]})
    assert granted.status == 200
    for known in (made["key"], rotated["key"]):
        assert status_of(site, known) == 401
    assert status_of(site, granted.json["key"]) == 200
    assert granted.json["secret_hint"][-4:] == granted.json["key"][-4:]


def test_only_what_gains_gets_another_secret(site):
    key_id = site.key("some", scopes=["keys:read", "usage:read"], **BOUND_FIELDS)
    path = f"keys/{key_id}"
    for body in (
        {"admin_scopes": ["keys:read"]},
        {"allowed_networks": ["127.0.0.0/8"]},
        {"expires_at": "2095-01-01"},
        {"name": "other", "monthly_budget_usd": 5},
    ):
        answer = site.send("PATCH", path, body)
        assert (answer.status, "key" in answer.json) == (200, False), body
        assert status_of(site, "some") == 200
    assert "key" not in site.send("POST", f"{path}/revoke").json
    assert "key" not in site.send("POST", f"{path}/reactivate").json
    secret = "some"
    for body in (
        {"admin_scopes": ["keys:read", "audit:read"]},
        {"allowed_networks": ["127.0.0.0/8", "10.0.0.0/8"]},
        {"expires_at": "2096-01-01"},
        {"expires_at": None},
        {"allowed_networks": None},
        {"admin_scopes": ["admin"]},
    ):
        answer = site.send("PATCH", path, body)
        assert answer.status == 200
        assert status_of(site, secret) == 401, body
        secret = answer.json["key"]
        assert status_of(site, secret) == 200
    assert "key" not in site.send("PATCH", path, {"admin_scopes": ["keys:read"]}).json
    client = site.key("client", expires_at=9, allowed_networks=("10.0.0.0/8",))
    wider = {"expires_at": None, "allowed_networks": None}
    assert "key" not in site.send("PATCH", f"keys/{client}", wider).json, "it administers nothing"


OWNED = [
    (kind, request)
    for kind in ("user", "team")
    for request in (
        ("PATCH", {"is_active": False}),
        ("PATCH", {"is_active": True}),
        ("PATCH", {"daily_budget_usd": 0}),
        ("PATCH", {"name": "x"}),
        ("DELETE", None),
    )
]


@pytest.fixture
def lead(site):
    """Sends with a key that may administer users and teams only."""
    site.key("lead", scopes=["users:write", "teams:write"])

    def send(method, path, body=None):
        return site.send(method, path, body, secret="lead")

    return send


@pytest.mark.parametrize(("kind", "request_"), OWNED)
def test_nobody_touches_an_owner_of_a_key_that_may_do_more(site, lead, kind, request_):
    method, body = request_
    assert site.send("POST", f"{kind}s", {"id": "x"}).status == 201
    site.key("boss", scopes=[EVERYTHING], **{f"{kind}_id": "x"})
    before = site.send("GET", f"{kind}s/x").json
    trail = site.audit()
    answer = lead(method, f"{kind}s/x", body)
    assert (answer.status, answer.json["error"]["type"]) == (403, "permission_error")
    assert site.audit() == trail
    assert site.send("GET", f"{kind}s/x").json == before
    assert status_of(site, "boss") == 200


@pytest.mark.parametrize("kind", ["user", "team"])
def test_nobody_makes_an_owner_of_a_key_that_may_do_more(site, lead, kind):
    site.key("boss", scopes=[EVERYTHING], **{f"{kind}_id": "x"})
    assert_refused(site, lead("POST", f"{kind}s", {"id": "x", "daily_budget_usd": 0}))
    assert site.send("GET", f"{kind}s").json == {f"{kind}s": []}


@pytest.mark.parametrize(("kind", "request_"), OWNED)
def test_an_owner_of_clients_and_lesser_admins_is_for_whoever_may(site, lead, kind, request_):
    site.key("client", **{f"{kind}_id": "x"})
    site.key("lesser", scopes=["users:write"], **{f"{kind}_id": "x"})
    assert lead("POST", f"{kind}s", {"id": "x"}).status == 201
    assert lead(request_[0], f"{kind}s/x", request_[1]).status == 200


CHANGED = (
    {"is_active": False},
    {"admin_scopes": ("keys:write",)},
    {"admin_scopes": (EVERYTHING,)},
    {"expires_at": 1},
    {"allowed_networks": ("127.0.0.0/8",)},
    {"user_id": "gone"},
    {"secret_hint": "sk-...else"},
)


@pytest.mark.parametrize("change", CHANGED)
def test_a_body_that_takes_its_time_keeps_no_right_alive(site, change):
    """A key that was revoked while its own request was being sent changes nothing any more."""
    key_id = site.key("mine", scopes=OWN)
    site.key("client")
    off = OwnerRecord(
        kind="user", id="gone", name="gone", created_at=1, updated_at=1, is_active=False
    )
    asyncio.run(site.store.owners.create(off))

    async def story():
        api = build_admin(load_settings(None, environ={}, env_file=None), site.store)
        actor = Actor.of_key(await site.store.keys.get(key_id))
        match = api.authorise(actor, "POST", b"/admin/api/keys/key_client/rotate")
        if "secret_hint" in change:
            await site.store.keys.rotate(key_id, NewSecret(b"n" * 32, "sk-...else"), now=2)
        else:
            await site.store.keys.update(key_id, change, now=2)
        with pytest.raises(ConflictError, match="Your own key was changed"):
            await api.run(match, {}, b"")

    asyncio.run(story())
    assert site.audit() == []


BOUND = {"allowed_networks": ["127.0.0.0/8", "10.0.0.0/8"], "expires_at": "2096-01-01"}
BOUND_FIELDS = {"allowed_networks": tuple(BOUND["allowed_networks"]), "expires_at": 3_976_214_400}
OUTSIDE = (
    {"allowed_networks": None},
    {"allowed_networks": ["0.0.0.0/0"]},
    {"allowed_networks": ["10.0.0.0/7"]},
    {"allowed_networks": ["10.0.0.0/8", "::/0"]},
    {"expires_at": None},
    {"expires_at": "2096-01-01T00:00:01Z"},
)


@pytest.fixture
def bound(site):
    """Sends with a key that may administer keys, but not from everywhere and not for ever."""
    site.key("bound", scopes=OWN, **BOUND_FIELDS)

    def send(method, path, body=None):
        return site.send(method, path, body, secret="bound")

    return send


@pytest.mark.parametrize("fields", OUTSIDE)
def test_who_is_bound_makes_no_admin_that_is_not(site, bound, fields):
    site.key("client", **BOUND_FIELDS)
    wider = {**BOUND, **fields, "admin_scopes": ["usage:read"]}
    assert_refused(site, bound("POST", "keys", {"name": "a", **wider}))
    assert_refused(site, bound("PATCH", "keys/key_client", wider))
    assert_refused(site, bound("PATCH", "keys/key_bound", fields))
    assert scopes_of(site, "key_client") == []
    for name, value in BOUND.items():
        assert str(value)[:10] in str(site.send("GET", "keys/key_bound").json[name])


def test_who_is_bound_takes_over_no_admin_that_is_not(site, bound):
    for name, fields in (
        ("far", {**BOUND_FIELDS, "allowed_networks": ()}),
        ("near", {**BOUND_FIELDS, "allowed_networks": ("127.0.0.0/7",)}),
        ("long", {**BOUND_FIELDS, "expires_at": None}),
    ):
        site.key(name, scopes=["usage:read"], **fields)
        for request in ("rotate", "reactivate", "revoke"):
            assert_refused(site, bound("POST", f"keys/key_{name}/{request}"))
        assert_refused(site, bound("PATCH", f"keys/key_{name}", BOUND))


def test_who_is_bound_works_within_its_bounds(site, bound):
    scoped = {**BOUND, "admin_scopes": ["keys:read"], "allowed_networks": ["10.1.0.0/16"]}
    made = bound("POST", "keys", {"name": "a", **scoped})
    assert made.status == 201
    assert bound("POST", f"keys/{made.json['id']}/rotate").status == 200
    assert bound("POST", "keys/key_bound/rotate").status == 200
    assert site.send("PATCH", "keys/key_bound", {"expires_at": None}).status == 200


def test_who_is_bound_makes_clients_that_are_not(bound):
    """What a client may do is the operator's to say; it administers nothing."""
    made = bound("POST", "keys", {"name": "client"})
    assert made.status == 201
    assert bound("POST", f"keys/{made.json['id']}/rotate").status == 200


ELSEWHERE = (
    {"endpoint_url": "https://evil.example"},
    {"mantle_endpoint_url": "https://evil.example"},
    {"endpoint_url": "https://evil.example", "profile": "of-the-host"},
    {"endpoint_url": "https://evil.example", "role_arn": "arn:aws:iam::123456789012:role/r"},
)


@pytest.mark.parametrize("fields", ELSEWHERE)
def test_our_own_credentials_are_sent_to_no_address_of_a_lesser_admin(site, fields):
    site.key("places", scopes=SCOPES - {EVERYTHING})
    body = {"name": "east", "region": "us-east-2"}
    refused = site.send("POST", "providers", {**body, **fields}, secret="places")
    assert_refused(site, refused)
    assert site.send("POST", "providers", body, secret="places").status == 201, "AWS itself"
    replacing = {**body, **fields, "replace": True}
    assert site.send("POST", "providers", replacing, secret="places").status == 403
    own = {**fields, "profile": None, "access_key_id": "AKIA", "secret_access_key": "s"}
    assert site.send("POST", "providers", {**replacing, **own}, secret="places").status == 201
    assert site.send("POST", "providers", replacing).status == 201, "the master may"


def test_a_key_that_is_called_master_is_not_it(site):
    """The master key is recognised by its secret, never by a name or an id."""
    site.key("master")
    assert site.send("GET", "keys", secret="master").status == 403
