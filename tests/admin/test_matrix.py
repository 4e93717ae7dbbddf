"""Who may do what, for every operation of the table; and what each leaves in the audit log."""

from __future__ import annotations

import json

import pytest
from admin_cases import CASES, prepare

from anthropic_bedrock_proxy.admin.scopes import EVERYTHING, SCOPES
from anthropic_bedrock_proxy.admin.table import OPERATIONS, PREFIX, Operation

BY_NAME = {operation.name: operation for operation in OPERATIONS}
EVERY = pytest.mark.parametrize("name", list(BY_NAME))
WRITES = pytest.mark.parametrize("name", [name for name, op in BY_NAME.items() if op.writes])


def test_there_is_a_case_for_every_operation():
    assert list(CASES) == list(BY_NAME)
    assert len({(op.method, op.path) for op in OPERATIONS}) == len(OPERATIONS)


def test_an_operation_without_a_scope_cannot_be_registered():
    for scope in ("", "admin", "keys", "keys:*", "audit:write"):
        with pytest.raises(ValueError, match="has no scope"):
            Operation("x", "GET", f"{PREFIX}x", scope, None)
    with pytest.raises(ValueError, match="does not go with"):
        Operation("x", "POST", f"{PREFIX}x", "keys:read", None)


def test_every_scope_opens_something():
    assert {operation.scope for operation in OPERATIONS} == SCOPES - {EVERYTHING}


def ask(site, name, **options):
    prepare(site)
    return site.send(*CASES[name], **options)


def assert_refused(site, answer, status, kind):
    assert (answer.status, answer.json["type"]) == (status, "error")
    assert answer.json["error"]["type"] == kind
    assert answer.json["request_id"] == answer.headers["request-id"]
    assert site.audit() == []


@EVERY
@pytest.mark.parametrize("secret", [None, "", "sk-unknown"])
def test_without_a_known_key(site, name, secret):
    assert_refused(site, ask(site, name, secret=secret), 401, "authentication_error")


@EVERY
@pytest.mark.parametrize("secret", [None, "sk-unknown"])
def test_where_requests_need_no_key_this_one_does(make_site, name, secret):
    site = make_site(require_api_key=False)
    assert_refused(site, ask(site, name, secret=secret), 401, "authentication_error")


@EVERY
def test_with_the_key_of_a_client(site, name):
    site.key("client")
    assert_refused(site, ask(site, name, secret="client"), 403, "permission_error")


@EVERY
def test_with_every_scope_but_the_right_one(site, name):
    others = SCOPES - {EVERYTHING, BY_NAME[name].scope}
    site.key("others", scopes=others)
    answer = ask(site, name, secret="others")
    assert_refused(site, answer, 403, "permission_error")
    assert BY_NAME[name].scope in answer.json["error"]["message"]


@EVERY
@pytest.mark.parametrize("fields", [{"is_active": False}, {"expires_at": 1}])
def test_with_a_key_that_works_no_more(site, name, fields):
    site.key("former", scopes=[EVERYTHING], **fields)
    assert_refused(site, ask(site, name, secret="former"), 403, "permission_error")


@EVERY
def test_with_a_key_from_elsewhere(site, name):
    site.key("away", scopes=[EVERYTHING], allowed_networks=("10.0.0.0/8",))
    assert_refused(site, ask(site, name, secret="away"), 403, "permission_error")


@EVERY
@pytest.mark.parametrize("who", ["scoped", "admin", "master"])
def test_with_the_right_key(site, name, who):
    operation = BY_NAME[name]
    actor, options = "master", {}
    if who != "master":
        actor = site.key("mine", scopes=[operation.scope if who == "scoped" else EVERYTHING])
        options = {"secret": "mine"}
    answer = ask(site, name, **options)
    assert answer.status in (200, 201), answer.body
    assert answer.headers["cache-control"] == "no-store"
    assert site.logged[-1].key_id == actor
    records = site.audit()
    if not operation.writes:
        assert records == []
        return
    (record,) = records
    assert (record.actor, record.action) == (actor, name)
    assert record.object
    assert record.before is not None or record.after is not None


def test_bearer_works_too(site):
    headers = {"authorization": "Bearer sk-master-of-the-tests"}
    assert site.send("GET", "keys", secret=None, headers=headers).status == 200


@WRITES
def test_what_fails_leaves_no_record(site, name):
    """On an empty store, or with a body that is wrong."""
    method, path, body = CASES[name]
    wrong = body if body is None else {**body, "surprise": 1}
    answer = site.send(method, path, wrong)
    assert answer.status in (400, 404), answer.body
    if body is not None:
        assert answer.json["error"]["message"].startswith("surprise: ")
    assert site.audit() == []


@WRITES
def test_an_outage_is_said_and_leaves_no_record(site, name):
    prepare(site)
    site.store.down = True
    answer = site.send(*CASES[name])
    site.store.down = False
    assert answer.status == 503
    assert site.audit() == []


def test_secrets_are_in_no_list_audit_or_log(site, caplog):
    prepare(site)
    secrets = ["very-secret-bearer-token", "sk-master-of-the-tests"]
    for name, (method, path, body) in CASES.items():
        answer = site.send(method, path, body)
        if name in {"keys.create", "keys.rotate"}:
            secrets.append(answer.json["key"])
        else:
            for secret in secrets:
                assert secret not in answer.body.decode(), name
    assert len(secrets) == 4
    audit = json.dumps(site.send("GET", "audit?limit=1000").json)
    for secret in secrets:
        assert secret not in audit
        assert secret not in caplog.text
    assert "encrypted_credentials" not in audit
    assert "encrypted_credentials" not in repr(site.audit())


def test_paths_and_methods(site):
    for path in ("nothing", "keys/", "keys/a/b/c", "keys/a/", "budgets/key", "/keys"):
        answer = site.send("GET", path)
        assert (answer.status, answer.json["error"]["type"]) == (404, "not_found_error"), path
    answer = site.send("PUT", "keys/key_x")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, PATCH")
    assert site.send("HEAD", "keys").status == 405


def test_an_admin_without_scopes_learns_nothing_of_paths(site):
    site.key("client")
    assert site.send("GET", "nothing", secret="client").status == 403
    assert site.send("GET", "nothing", secret=None).status == 401
