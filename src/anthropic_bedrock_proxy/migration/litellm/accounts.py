"""Accounts and regions of deployments: one becomes the `AWS_*` settings, the others PROVIDERS."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from ...models.registry import DEFAULT_PROVIDER
from ..plan import MigrationPlan


class AWSAccount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An account and a region as a deployment names them, its values as `.env` has them."""

    region: str
    endpoint_url: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    session_token: str | None = None
    bearer_token: str | None = None


_SETTINGS: Final = {
    "region": "AWS_REGION",
    "endpoint_url": "BEDROCK_ENDPOINT_URL",
    "profile": "AWS_PROFILE",
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
    "bearer_token": "AWS_BEARER_TOKEN_BEDROCK",
}


def name_accounts(
    used: Iterable[tuple[AWSAccount, str]], plan: MigrationPlan
) -> dict[AWSAccount, str]:
    """Names every account of the deployments, with the settings that make it known.

    `used` has one entry for each deployment, and where it stands. The account of most deployments
    is the default one; one with a role to assume cannot be, as no `AWS_*` setting names a role.
    """
    used = list(used)
    places: dict[AWSAccount, str] = {}
    for account, place in used:
        places.setdefault(account, place)
    plain = Counter(account for account, _ in used if account.role_arn is None)
    names: dict[AWSAccount, str] = {}
    if plain:
        default = plain.most_common(1)[0][0]
        names[default] = DEFAULT_PROVIDER
        _set_default(default, places[default], plan)
    elif used:
        plan.set("AWS_REGION", used[0][0].region, used[0][1])
    others = [account for account in places if account not in names]
    for account in others:
        names[account] = _free_name(account.region, names.values())
    if others:
        value = {names[account]: msgspec.to_builtins(account) for account in others}
        plan.set("PROVIDERS", json.dumps(value), places[others[0]])
    return names


def _set_default(account: AWSAccount, place: str, plan: MigrationPlan) -> None:
    for field, value in msgspec.to_builtins(account).items():
        name = _SETTINGS[field]
        if value != f"${{{name}}}":  # the environment has it under this name already
            plan.set(name, value, place)


def _free_name(region: str, taken: Iterable[str]) -> str:
    taken = set(taken)
    number, name = 1, region
    while name in taken:
        number += 1
        name = f"{region}-{number}"
    return name
