"""Keys, teams and users. LiteLLM keeps the SHA-256 of a secret, as we do: clients keep theirs.

Which models a key may use is, there, also said by its team or, without one, its user; here by the
key alone, so each key gets what both allow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from ...admin.patterns import HINT, SHA256
from ...store.secrets import hash_secret
from ..plan import MigrationPlan, PlannedOperation
from ..shape import is_empty, mapping, text, texts
from . import allowances
from .advice import ADVICE_FOR_CALLERS, tell_rest
from .allowances import read_allowance
from .exports import LiteLLMExports

_DASHBOARD: Final = "litellm-dashboard"  # the team of sessions of the admin page
_ADMINISTRATOR: Final = "default_user_id"  # whose keys the master key has made
_ALL: Final = ("all-proxy-models", "*")
_ALL_OF_TEAM: Final = "all-team-models"
_NONE: Final = "no-default-models"  # LiteLLM's word for nothing, and no name of a model
_KEPT_THERE: Final = (
    "when, by whom and how it was made and used there",
    "the audit log and `usage` begin anew; keep LiteLLM's database for as long as it is asked for",
)
_BOOKKEEPING: Final = (
    *("created_at", "created_by", "updated_at", "updated_by", "last_active", "settings_updated_at"),
    *("budget_reset_at", "model_spend", "rotation_count", "last_rotation_at", "key_rotation_at"),
    *("created_by_user", "key_count", "members", "admins", "teams", "keys", "model_id"),
    "last_refreshed_at",
)
_READ: Final = (
    *allowances.READ,
    *("token", "key_name", "key_alias", "team_id", "team_alias", "user_id", "user_alias"),
    *("user_email", "models", "blocked", "expires"),
)


def plan_callers(exports: LiteLLMExports, plan: MigrationPlan) -> None:
    """Plans users, then teams, then the keys that name them. Raises `MigrationError`."""
    users = _plan_owners(exports.users, "user", plan)
    teams = _plan_owners(exports.teams, "team", plan)
    for number, listed in enumerate(exports.keys):
        place = f"keys[{number}]"
        row = {**listed, **_owner_ids(listed, place)}
        if row.get("team_id") == _DASHBOARD:
            plan.differ(place, "a session of LiteLLM's admin page", "it ends by itself")
        elif (missing := _missing_owner(row, teams, users)) is not None:
            kind, owner_id = missing
            plan.differ(
                place,
                f"its {kind} {owner_id} is in no file, so what bounds the key is not known",
                f"run this again with --{kind}s FILE, the answer of /{kind}/list",
            )
        else:
            _plan_key(row, place, teams, users, plan)


def _owner_ids(row: Mapping[str, Any], place: str) -> dict[str, str]:
    """Returns the ids of a key's user and team, as far as it has them. Raises `MigrationError`."""
    return {
        field: text(row[field], f"{place}.{field}")
        for field in ("user_id", "team_id")
        if not is_empty(row.get(field))
    }


def _missing_owner(
    row: Mapping[str, Any], teams: Mapping[str, Any], users: Mapping[str, Any]
) -> tuple[str, Any] | None:
    """Returns the kind and id of the owner that bounds a key, if no file has it.

    That is its team or, without one, its user; the administrator's own user bounds nothing.
    """
    if not is_empty(team_id := row.get("team_id")):
        return None if team_id in teams else ("team", team_id)
    user_id = row.get("user_id")
    if is_empty(user_id) or user_id == _ADMINISTRATOR or user_id in users:
        return None
    return "user", user_id


def _plan_owners(
    rows: Sequence[Mapping[str, Any]], kind: str, plan: MigrationPlan
) -> dict[str, Mapping[str, Any]]:
    """Plans the users or teams, and returns their rows by id."""
    found: dict[str, Mapping[str, Any]] = {}
    for number, row in enumerate(rows):
        place = f"{kind}s[{number}]"
        owner_id = text(row.get(f"{kind}_id"), f"{place}.{kind}_id")
        found[owner_id] = row
        name = row.get(f"{kind}_alias") or row.get("user_email")
        body = (
            {"id": owner_id} | ({"name": name} if name else {}) | read_allowance(row, place, plan)
        )
        then: tuple[PlannedOperation, ...] = ()
        if row.get("blocked"):
            then = (_follow("PATCH", f"{kind}s/{{id}}", {"is_active": False}, place),)
        plan.do(
            "POST", f"{kind}s", body, source=place, what=f"{kind} {name or owner_id}", then=then
        )
        _tell_rest(row, place, plan)
    return found


def _plan_key(
    row: Mapping[str, Any],
    place: str,
    teams: Mapping[str, Mapping[str, Any]],
    users: Mapping[str, Mapping[str, Any]],
    plan: MigrationPlan,
) -> None:
    digest = text(row.get("token") or "", f"{place}.token")
    if digest.startswith("sk-"):
        digest = hash_secret(digest).hex()
    if not re.fullmatch(SHA256, digest):
        plan.differ(place, "its token is no hash", "make a key: `keys create`, and give it out")
        return
    hint = text(row.get("key_name") or "", f"{place}.key_name")
    name = row.get("key_alias") or hint or f"litellm {digest[:8]}"
    body: dict[str, Any] = {"name": name, "secret_sha256": digest}
    if re.fullmatch(HINT, hint):
        body["secret_hint"] = hint
    for field in ("user_id", "team_id"):
        if not is_empty(row.get(field)):
            body[field] = row[field]
    if not is_empty(row.get("expires")):
        body["expires_at"] = text(row["expires"], f"{place}.expires")
    body |= read_allowance(row, place, plan)
    owner = teams.get(row.get("team_id") or "") or users.get(row.get("user_id") or "")
    if models := _allowed_models(row, owner, place):
        body["allowed_models"] = models
    then: tuple[PlannedOperation, ...] = ()
    if row.get("blocked"):
        then = (_follow("POST", "keys/{id}/revoke", {}, place),)
    plan.do("POST", "keys", body, source=place, what=f"key {name}", then=then)
    _tell_rest(row, place, plan)


def _allowed_models(
    row: Mapping[str, Any], owner: Mapping[str, Any] | None, place: str
) -> list[str]:
    """Returns the models that both the key and its team or user allow; empty: every model."""
    own = texts(row.get("models"), f"{place}.models")
    owned = texts((owner or {}).get("models"), f"{place}, models of its team or user")
    own = [] if {_ALL_OF_TEAM, *_ALL} & {*own} else own
    owned = [] if {*_ALL} & {*owned} else owned
    if not own or not owned:
        return own or owned
    return [name for name in own if any(fnmatchcase(name, other) for other in owned)] or [_NONE]


def _follow(method: str, path: str, body: Mapping[str, Any], place: str) -> PlannedOperation:
    return PlannedOperation(
        method=method, path=path, body=body, source=place, what="blocked, as it was there"
    )


def _tell_rest(row: Mapping[str, Any], place: str, plan: MigrationPlan) -> None:
    told = [name for name in row if name in _BOOKKEEPING and not is_empty(row[name])]
    if told:
        plan.differ(place, f"{', '.join(told)}: {_KEPT_THERE[0]}", _KEPT_THERE[1])
    where = f"{place}.litellm_budget_table"
    shared = mapping(row.get("litellm_budget_table"), where)
    for values, at in ((row, place), (shared, where)):
        tell_rest(values, (*_READ, *_BOOKKEEPING), at, ADVICE_FOR_CALLERS, plan)
