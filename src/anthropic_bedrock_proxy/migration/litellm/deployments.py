"""Entries of `model_list`: which model each calls in which account, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ...models.geography import base_model_id
from ...models.names import ModelNames
from ..plan import MigrationError, MigrationPlan
from ..shape import amount, entries, is_empty, mapping, text, whole, without_zeros
from .accounts import AWSAccount
from .advice import ADVICE_FOR_DEPLOYMENTS, tell_rest
from .references import as_secret, as_setting, resolved
from .targets import REGION, NamedTarget, read_target

_REGION_UNSAID: Final = "us-west-2"  # what LiteLLM takes then
_REGION_NAMES: Final = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
# Field of litellm_params -> field of an account.
_PLAIN: Final = {
    "aws_profile_name": "profile",
    "aws_role_name": "role_arn",
    "aws_external_id": "external_id",
    "aws_bedrock_runtime_endpoint": "endpoint_url",
    "api_base": "endpoint_url",
}
_SECRET: Final = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "api_key": "bearer_token",
}
_PRICES: Final = {
    "input_cost_per_token": "input_usd",
    "output_cost_per_token": "output_usd",
    "cache_read_input_token_cost": "cache_read_usd",
    "cache_creation_input_token_cost": "cache_write_usd",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h_usd",
}
_READ: Final = {
    "model",
    "order",
    "aws_region_name",
    *_PLAIN,
    *_SECRET,
    *_PRICES,
}


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One target of a model's name: a model of Bedrock in an account."""

    name: str
    target: NamedTarget
    account: AWSAccount
    order: int
    source: str


def read_deployments(
    config: Mapping[str, Any], names: ModelNames, environ: Mapping[str, str], plan: MigrationPlan
) -> list[Deployment]:
    """Returns the deployments that can be served here, and plans the rest of `model_list`.

    Raises `MigrationError`.
    """
    found: list[Deployment] = []
    for number, entry in enumerate(entries(config.get("model_list"), "model_list")):
        source = f"model_list[{number}]"
        deployment = _deployment(mapping(entry, source), source, names, environ, plan)
        if deployment is not None:
            found.append(deployment)
    return found


def _deployment(
    entry: Mapping[str, Any],
    source: str,
    names: ModelNames,
    environ: Mapping[str, str],
    plan: MigrationPlan,
) -> Deployment | None:
    for needed in ("model_name", "litellm_params"):
        if needed not in entry:
            raise MigrationError(f"{source}: {needed} is missing")
    name = text(entry["model_name"], f"{source}.model_name")
    place = f"{source}.litellm_params"
    params = mapping(entry["litellm_params"], place)
    info = mapping(entry.get("model_info"), f"{source}.model_info")
    model = resolved(params.get("model", ""), f"{place}.model", environ)
    if not model:
        raise MigrationError(f"{place}.model: names no model, or a variable that is not set here")
    target = _checked(name, model, info, names)
    if isinstance(target, str):
        plan.differ(source, f"{name} ({model}): {target}", "leave its clients where they are")
        return None
    _tell_route(target, f"{place}.model", plan)
    account = _account(params, place, target, environ, plan)
    _plan_price(params, info, source, target, plan)
    tell_rest(params, _READ, place, ADVICE_FOR_DEPLOYMENTS, plan)
    _tell_info(info, f"{source}.model_info", plan)
    tell_rest(entry, ("model_name", "litellm_params", "model_info"), source, {}, plan)
    order = whole(params.get("order", 0), f"{place}.order")
    return Deployment(name=name, target=target, account=account, order=order, source=source)


def _checked(
    name: str, model: str, info: Mapping[str, Any], names: ModelNames
) -> NamedTarget | str:
    mode = info.get("mode") or "chat"
    if mode not in ("chat", "completion", "responses"):
        return f"{mode} is no text, and there is no path for it"
    if "*" in name:
        return "it stands for any name; this proxy knows the names of all its models by itself"
    return read_target(model, names)


def _tell_route(target: NamedTarget, place: str, plan: MigrationPlan) -> None:
    if target.moved:
        plan.differ(
            place,
            f"Anthropic's API answered for {target.model_id}; here the same model on Bedrock does",
            "see that the AWS account has access to it: `doctor --model` says",
        )
    elif target.route.startswith("converse") and "anthropic." in target.model_id:
        plan.differ(
            place,
            "Claude is called by a dialect that carries all of Anthropic's fields, not by Converse",
            "`models map NAME ID --dialect converse`, if it has to be Converse",
        )


def _account(
    params: Mapping[str, Any],
    place: str,
    target: NamedTarget,
    environ: Mapping[str, str],
    plan: MigrationPlan,
) -> AWSAccount:
    region = target.region
    if (said := params.get("aws_region_name")) is not None:
        region = resolved(said, f"{place}.aws_region_name", environ)
        if region is None:
            raise MigrationError(f"{place}.aws_region_name: its variable is not set here")
        if not REGION.fullmatch(region):  # and what a variable holds is not told
            raise MigrationError(f"{place}.aws_region_name: is no region, such as us-east-1")
    if region is None:
        region = next((environ[name] for name in _REGION_NAMES if environ.get(name)), None)
    if region is None:
        region = _REGION_UNSAID
        plan.differ(
            place,
            f"no region is named, which LiteLLM takes for {region}",
            "correct AWS_REGION in .env, if another was meant",
        )
    fields: dict[str, str] = {}
    for name, field in {**_PLAIN, **_SECRET}.items():
        if is_empty(params.get(name)):
            continue
        if target.moved:
            plan.differ(f"{place}.{name}", "it is for Anthropic's API", "it is needed no more")
        elif name in _SECRET or _has_secret(params[name]):
            fields[field] = as_secret(params[name], f"{place}.{name}", plan)
        else:
            fields[field] = as_setting(params[name], f"{place}.{name}")
    return AWSAccount(region=region, **fields)


def _has_secret(value: object) -> bool:
    """Tells whether a value is a URL with a user or a query, either of which may be a secret."""
    return isinstance(value, str) and "://" in value and not {"@", "?"}.isdisjoint(value)


def _plan_price(
    params: Mapping[str, Any],
    info: Mapping[str, Any],
    source: str,
    target: NamedTarget,
    plan: MigrationPlan,
) -> None:
    """Plans the operator's own price of a model, which LiteLLM takes from either of two places."""
    body: dict[str, Any] = {}
    for name, field in _PRICES.items():
        for where, values in (("model_info", info), ("litellm_params", params)):
            if values.get(name) is not None:
                # From one token to a million of them.
                usd = amount(values[name], f"{source}.{where}.{name}").scaleb(6)
                body[field] = without_zeros(usd)
    if not body:
        return
    if not {"input_usd", "output_usd"} <= body.keys():
        plan.differ(
            source,
            "a price needs input and output",
            "set it by `prices set MODEL --input --output`",
        )
        return
    body["model"] = model = base_model_id(target.model_id)
    before = [one for one in plan.operations if one.path == "prices" and one.body["model"] == model]
    if before:
        if before[0].body != body:
            why = f"{before[0].source} has another price of {model}, and a model has one"
            plan.differ(source, why, "keep one of them; `prices set --region` for each region")
        return
    what = f"price of {model}: {body['input_usd']:f} and {body['output_usd']:f} USD per million"
    plan.do("PUT", "prices", body, source=source, what=what)


def _tell_info(info: Mapping[str, Any], place: str, plan: MigrationPlan) -> None:
    described = [name for name in info if name not in _PRICES and name != "mode"]
    if described:
        plan.differ(
            place,
            f"{', '.join(described)}: the proxy has a table of its own of what models can do",
            "`models list` shows it",
        )
