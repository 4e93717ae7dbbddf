"""Nobody gives, or takes over, more than it has."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.admin.scopes import EVERYTHING, SCOPES

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


def test_a_key_that_is_called_master_is_not_it(site):
    """The master key is recognised by its secret, never by a name or an id."""
    site.key("master")
    assert site.send("GET", "keys", secret="master").status == 403
