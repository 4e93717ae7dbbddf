"""Names of models with their deployments, aliases and fallbacks: our mappings and chains."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ...models.registry import DEFAULT_PROVIDER
from ..plan import MigrationPlan
from ..shape import entries, is_empty, mapping, text, texts
from .accounts import AWSAccount, name_accounts
from .deployments import Deployment

_SECTIONS: Final = ("router_settings", "litellm_settings")
_AT_EVERY_ERROR: Final = "fallbacks"
_EVERY: Final = "*"  # as a name in them, and of a model
# Names for all models of a provider -> what clients say here.
_WILDCARDS: Final = {"bedrock/*": _EVERY, "anthropic/*": "claude-*"}
_AT_SOME_ERRORS: Final = {
    "context_window_fallbacks": (
        "a prompt that is too long is refused at once, and Claude Code compacts its history",
        "let clients ask for a model with a larger window",
    ),
    "content_policy_fallbacks": (
        "what a model or a guardrail declines is told to the client, and asked of nobody else",
        "leave it",
    ),
}


def plan_routing(
    config: Mapping[str, Any], deployments: Sequence[Deployment], plan: MigrationPlan
) -> list[str]:
    """Plans accounts, names and chains. Raises `MigrationError`.

    Returns the names that LiteLLM offers, as patterns of ours; empty: every model.
    """
    accounts = name_accounts([(one.account, one.source) for one in deployments], plan)
    groups: dict[str, list[Deployment]] = {}
    for deployment in sorted(deployments, key=lambda one: one.order):
        groups.setdefault(deployment.name, []).append(deployment)
    aliases = _add_aliases(config, groups, plan)
    fallbacks = _fallbacks(config, groups, plan)
    for alias, name in aliases.items():
        fallbacks.setdefault(alias, fallbacks.get(name, []))
    chains = {}
    for name, group in groups.items():
        _plan_name(name, group[0], plan)
        more = [one for other in fallbacks.get(name, ()) for one in groups[other]]
        chain = _chain(group, more, accounts)
        if len(chain) > 1 or chain != [DEFAULT_PROVIDER]:
            chains[name] = chain
    if chains:
        plan.set("FAILOVER_CHAINS", json.dumps(chains), "model_list")
    return _offered(config, groups)


def _offered(config: Mapping[str, Any], groups: Iterable[str]) -> list[str]:
    there = [str(entry["model_name"]) for entry in entries(config.get("model_list"), "model_list")]
    names = [_WILDCARDS.get(name, name) for name in dict.fromkeys((*there, *groups))]
    return [] if _EVERY in names else names


def _plan_name(name: str, first: Deployment, plan: MigrationPlan) -> None:
    target = first.target
    if name == target.model_id:
        return
    body = {"alias": name, "bedrock_id": target.model_id}
    if target.route == "mantle":
        body["dialect"] = "mantle"
    what = f"{name} stands for {target.model_id}"
    plan.do("PUT", "models/mappings", body, source=first.source, what=what)


def _chain(
    group: Sequence[Deployment], fallbacks: Sequence[Deployment], accounts: Mapping[AWSAccount, str]
) -> list[str]:
    """Writes the targets in order, each once; a model is named where it is not the name's own."""
    own = group[0].target.model_id
    links = []
    for deployment in (*group, *fallbacks):
        model = deployment.target.model_id
        provider = accounts[deployment.account]
        if deployment.target.route == "mantle":
            provider += "/mantle"
        links.append(provider if model == own else f"{provider}={model}")
    return list(dict.fromkeys(links))


def _add_aliases(
    config: Mapping[str, Any], groups: dict[str, list[Deployment]], plan: MigrationPlan
) -> dict[str, str]:
    """Adds `model_group_alias`, other names for deployments; returns what each stands for."""
    found: dict[str, str] = {}
    for section in _SECTIONS:
        place = f"{section}.model_group_alias"
        aliases = mapping(mapping(config.get(section), section).get("model_group_alias"), place)
        for alias, value in aliases.items():
            said = value if isinstance(value, dict) else {"model": value}
            named = text(said.get("model"), f"{place}.{alias}")
            if rest := [name for name in said if name != "model" and not is_empty(said[name])]:
                plan.differ(f"{place}.{alias}", f"{', '.join(rest)}: no effect here", "leave it")
            if alias in groups:
                plan.differ(f"{place}.{alias}", "model_list has a model of this name", "rename one")
            elif _known([named], groups, f"{place}.{alias}", plan):
                groups[alias] = groups[named]
                found[alias] = named
    return found


def _fallbacks(
    config: Mapping[str, Any], groups: Mapping[str, Any], plan: MigrationPlan
) -> dict[str, list[str]]:
    """Returns the names to try after the deployments of each name; only those that there are."""
    found: dict[str, list[str]] = {}
    for section in _SECTIONS:
        settings = mapping(config.get(section), section)
        place = f"{section}.{_AT_EVERY_ERROR}"
        for number, entry in enumerate(entries(settings.get(_AT_EVERY_ERROR), place)):
            for name, others in mapping(entry, f"{place}[{number}]").items():
                where = f"{place}[{number}].{name}"
                known = _known(texts(others, where), groups, where, plan)
                first = list(groups) if name == _EVERY else _known([name], groups, where, plan)
                _append(found, first, known)
        place = f"{section}.default_fallbacks"
        general = _known(texts(settings.get("default_fallbacks"), place), groups, place, plan)
        _append(found, groups, general)
        for name, words in _AT_SOME_ERRORS.items():
            if not is_empty(settings.get(name)):
                plan.differ(f"{section}.{name}", *words)
    return found


def _append(found: dict[str, list[str]], names: Iterable[str], others: Iterable[str]) -> None:
    for name in names:
        found.setdefault(name, []).extend(other for other in others if other != name)


def _known(
    names: Iterable[str], groups: Mapping[str, Any], where: str, plan: MigrationPlan
) -> list[str]:
    known = []
    for name in names:
        if name in groups:
            known.append(name)
        else:
            plan.differ(where, f"{name} is not taken over", "see what is said of model_list")
    return known
