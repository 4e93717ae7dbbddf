"""Keys, teams and users. LiteLLM keeps the SHA-256 of a secret, as we do: clients keep theirs.

Which models a key may use is, there, also said by its team or, without one, its user; here by the
key alone, so each key gets what both allow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from ...admin.patterns import HINT, SHA256
from ...redaction import hide_keys
from ...store.secrets import hash_secret
from ..plan import MigrationPlan
from ..shape import is_empty, mapping, text, texts
from . import allowances
from .advice import ADVICE_FOR_CALLERS, tell_rest
from .allowances import read_allowance
from .exports import LiteLLMExports

_DASHBOARD: Final = "litellm-dashboard"  # the team of sessions of the admin page
_ADMINISTRATOR: Final = ("user", "default_user_id")  # has the keys of the master key; bounds none
_PATH: Final = "/v1/messages"
_MODEL_ROUTES: Final = ("llm_api_routes", "anthropic_routes")  # words for lists with that path
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
_MOST_MODELS: Final = 100  # of a key here
_BOUND: Final = (
    "a key that had every model may use the names of this file alone, as there",
    "`keys update --allow-model` when there are more; `none` allows every model",
)
_UNBOUND: Final = (
    "a key that had every model may use every model of Bedrock, not those of LiteLLM alone",
    "bound it with `keys update --allow-model`, or by the IAM policy of the proxy",
)
_READ: Final = (
    *allowances.READ,
    *("token", "key_name", "key_alias", "team_id", "team_alias", "user_id", "user_alias"),
    *("user_email", "models", "blocked", "expires"),
)
_OwnerId = tuple[str, str]  # kind and id


class _Owner(msgspec.Struct, frozen=True):
    """A user or team: where it stands, and the models that it allows."""

    source: str
    models: list[str]


def plan_callers(exports: LiteLLMExports, offered: Sequence[str], plan: MigrationPlan) -> None:
    """Plans users, then teams, then the keys that name them. Raises `MigrationError`.

    `offered` are the names that a key may use without models of its own; empty: every name.
    """
    owners = _plan_owners(exports.users, "user", plan)
    owners |= _plan_owners(exports.teams, "team", plan)
    if len(offered) > _MOST_MODELS:
        offered = ()
    if exports.keys:
        plan.differ("model_list", *(_BOUND if offered else _UNBOUND))
    for number, row in enumerate(exports.keys):
        place = f"keys[{number}]"
        why = _left_out(row, owners, place)
        if why is None:
            _plan_key(row, place, owners, offered, plan)
        else:
            plan.differ(place, *why)


def _left_out(
    row: Mapping[str, Any], owners: Mapping[_OwnerId, _Owner], place: str
) -> tuple[str, str] | None:
    """Returns why a key has to stay there, and what to do; None of one that moves."""
    bounding = _bounding_owner(row, place)
    if bounding == ("team", _DASHBOARD):
        return "a session of LiteLLM's admin page", "it ends by itself"
    if bounding is not None and bounding not in (*owners, _ADMINISTRATOR):
        kind, owner_id = bounding
        return (
            f"its {kind} {owner_id} is in no file, so what bounds the key is not known",
            f"run this again with --{kind}s FILE, the answer of /{kind}/list",
        )
    routes = texts(row.get("allowed_routes"), f"{place}.allowed_routes")
    if routes and not any(one in _MODEL_ROUTES or fnmatchcase(_PATH, one) for one in routes):
        return (
            f"its allowed_routes have no {_PATH}, and here every key may call that",
            "`keys create`, with --admin-scope if it is for administering",
        )
    return None


def _bounding_owner(row: Mapping[str, Any], place: str) -> _OwnerId | None:
    """Returns the owner whose budget and models bound a key: its team or, without one, its user."""
    for kind in ("team", "user"):
        if not is_empty(row.get(f"{kind}_id")):
            return kind, text(row[f"{kind}_id"], f"{place}.{kind}_id")
    return None


def _plan_owners(
    rows: Sequence[Mapping[str, Any]], kind: str, plan: MigrationPlan
) -> dict[_OwnerId, _Owner]:
    """Plans the users or teams, and returns them by kind and id. Raises `MigrationError`."""
    found: dict[_OwnerId, _Owner] = {}
    for number, row in enumerate(rows):
        place = f"{kind}s[{number}]"
        owner_id = text(row.get(f"{kind}_id"), f"{place}.{kind}_id")
        models = texts(row.get("models"), f"{place}.models")
        found[kind, owner_id] = _Owner(source=place, models=models)
        name = _name(row, (f"{kind}_alias", "user_email"), place)
        body = {"id": owner_id} | ({"name": name} if name else {})
        body |= read_allowance(row, place, plan) | _activity(row)
        plan.do("POST", f"{kind}s", body, source=place, what=_what(kind, name or owner_id, body))
        _tell_rest(row, place, plan)
    return found


def _plan_key(
    row: Mapping[str, Any],
    place: str,
    owners: Mapping[_OwnerId, _Owner],
    offered: Sequence[str],
    plan: MigrationPlan,
) -> None:
    digest = text(row.get("token") or "", f"{place}.token")
    if digest.startswith("sk-"):
        digest = hash_secret(digest).hex()
    if not re.fullmatch(SHA256, digest):
        plan.differ(place, "its token is no hash", "make a key: `keys create`, and give it out")
        return
    hint = text(row.get("key_name") or "", f"{place}.key_name")
    hint = hint if re.fullmatch(HINT, hint) else ""  # anything else may be the secret
    name = _name(row, ("key_alias",), place) or hint or f"litellm {digest[:8]}"
    body: dict[str, Any] = {"name": name, "secret_sha256": digest}
    if hint:
        body["secret_hint"] = hint
    for field in ("user_id", "team_id"):
        if not is_empty(row.get(field)):
            body[field] = text(row[field], f"{place}.{field}")
    if row.get("expires") is not None:
        body["expires_at"] = text(row["expires"], f"{place}.expires")
    body |= read_allowance(row, place, plan) | _activity(row)
    bounding = owners.get(_bounding_owner(row, place) or ("", ""))
    if models := _allowed_models(row, bounding, place) or offered:
        body["allowed_models"] = [_as_pattern(name) for name in models]
    needs = tuple(
        owner.source
        for kind in ("user", "team")
        if (owner := owners.get((kind, body.get(f"{kind}_id", "")))) is not None
    )
    what = _what("key", name, body)
    plan.do("POST", "keys", body, source=place, what=what, needs=needs)
    _tell_rest(row, place, plan)


def _allowed_models(row: Mapping[str, Any], owner: _Owner | None, place: str) -> list[str]:
    """Returns the models that both the key and its team or user allow; empty: every model."""
    own = texts(row.get("models"), f"{place}.models")
    owned = [] if owner is None else owner.models
    own = [] if {_ALL_OF_TEAM, *_ALL} & {*own} else own
    owned = [] if {*_ALL} & {*owned} else owned
    if not own or not owned:
        return own or owned
    patterns = [_as_pattern(other) for other in owned]
    return [one for one in own if any(fnmatchcase(one, other) for other in patterns)] or [_NONE]


def _as_pattern(name: str) -> str:
    """Writes a name as our pattern of it: to LiteLLM, * alone means more than itself.

    A pattern has no spaces here, and a name may.
    """
    return re.sub(r"\s", "?", re.sub(r"[\[?]", r"[\g<0>]", name))


def _name(row: Mapping[str, Any], fields: Sequence[str], place: str) -> str:
    """Returns the first name that a row has under one of `fields`, without what looks secret."""
    named = (text(row[name], f"{place}.{name}") for name in fields if not is_empty(row.get(name)))
    return hide_keys(next(named, ""))


def _activity(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"is_active": False} if row.get("blocked") else {}


def _what(kind: str, name: str, body: Mapping[str, Any]) -> str:
    return f"{kind} {name}" + ("" if body.get("is_active", True) else ", blocked")


def _tell_rest(row: Mapping[str, Any], place: str, plan: MigrationPlan) -> None:
    told = [name for name in row if name in _BOOKKEEPING and not is_empty(row[name])]
    if told:
        plan.differ(place, f"{', '.join(told)}: {_KEPT_THERE[0]}", _KEPT_THERE[1])
    where = f"{place}.litellm_budget_table"
    shared = mapping(row.get("litellm_budget_table"), where)
    for values, at in ((row, place), (shared, where)):
        tell_rest(values, (*_READ, *_BOOKKEEPING), at, ADVICE_FOR_CALLERS, plan)
