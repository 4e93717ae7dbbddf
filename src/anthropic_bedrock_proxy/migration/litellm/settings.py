"""`general_settings`, `router_settings` and `litellm_settings`: settings of ours, one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from ..plan import MigrationError, MigrationPlan
from ..shape import amount, entries, is_empty, mapping, text, texts, whole, without_zeros
from .advice import ADVICE, OTHER
from .references import as_secret, as_setting

SECTIONS: Final = ("general_settings", "router_settings", "litellm_settings")
_REDIS: Final = "redis_"  # begins the names of the shared Redis in router_settings
_OF_REDIS: Final = ("url", "host", "port", "username", "password", "db", "ssl")
# Names, in a section or beside them, that are read by another module or by a function of their own.
_ELSEWHERE: Final = (
    "model_list",
    "model_group_alias",
    "fallbacks",
    "default_fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "guardrails",
    "cache_params",
)
_MOST_ATTEMPTS: Final = 20
_LEAST_SECONDS: Final = Decimal("0.1")
_DAYS: Final = re.compile(r"(\d+)(d|mo)")

Writer = Callable[[Any, str, MigrationPlan], str]


def plan_settings(config: Mapping[str, Any], plan: MigrationPlan) -> None:
    """Plans every setting that stands in a section of its own. Raises `MigrationError`."""
    for section in SECTIONS:
        for name, value in mapping(config.get(section), section).items():
            place = f"{section}.{name}"
            if name in _ELSEWHERE or (section == "router_settings" and name.startswith(_REDIS)):
                continue
            if name in _SETTINGS:
                if value is None or value is False:
                    continue
                setting, write = _SETTINGS[name]
                plan.set(setting, write(value, place, plan), place)
            elif is_empty(value):
                continue
            elif name in ("callbacks", "success_callback", "failure_callback", "service_callbacks"):
                _plan_callbacks(value, place, plan)
            else:
                plan.differ(place, *ADVICE.get(name, OTHER))
    _plan_redis(config, plan)
    _plan_guardrails(config, plan)
    for name, value in config.items():
        if name not in (*SECTIONS, *_ELSEWHERE) and not is_empty(value):
            plan.differ(name, *ADVICE.get(name, OTHER))


def _seconds(value: object, place: str, _: MigrationPlan) -> str:
    """Writes seconds, which are never none at all here."""
    return f"{without_zeros(max(amount(value, place), _LEAST_SECONDS))}"


def _attempts(value: object, place: str, _: MigrationPlan) -> str:
    """Writes retries as attempts, of which the first is one."""
    return str(min(whole(value, place) + 1, _MOST_ATTEMPTS))


def _failures(value: object, place: str, _: MigrationPlan) -> str:
    """Writes the failures that are allowed as those that are too many."""
    return str(whole(value, place) + 1)


def _megabytes(value: object, place: str, _: MigrationPlan) -> str:
    return str(int(amount(value, place) * 1024 * 1024))


def _days(value: object, place: str, _: MigrationPlan) -> str:
    match = _DAYS.fullmatch(text(value, place))
    if match is None:
        raise MigrationError(f"{place}: expected days, such as 30d")
    return str(int(match[1]) * (30 if match[2] == "mo" else 1))


def _word(word: str) -> Writer:
    return lambda _value, _place, _plan: word


_SETTINGS: Final[Mapping[str, tuple[str, Writer]]] = {
    "master_key": ("MASTER_API_KEY", as_secret),
    "request_timeout": ("BEDROCK_TIMEOUT", _seconds),
    "timeout": ("BEDROCK_TIMEOUT", _seconds),
    "stream_timeout": ("UPSTREAM_FIRST_BYTE_TIMEOUT", _seconds),
    "num_retries": ("UPSTREAM_MAX_ATTEMPTS", _attempts),
    "allowed_fails": ("FAILOVER_FAILURES", _failures),
    "cooldown_time": ("FAILOVER_COOLDOWN", _seconds),
    "json_logs": ("LOG_FORMAT", _word("json")),
    "drop_params": ("UNSUPPORTED_SAMPLING", _word("drop")),
    "max_request_size_mb": ("MAX_REQUEST_BYTES", _megabytes),
    "maximum_spend_logs_retention_period": ("USAGE_TTL_DAYS", _days),
}


def _plan_callbacks(value: object, place: str, plan: MigrationPlan) -> None:
    for name in texts(value, place):
        if name == "prometheus":
            plan.differ(
                place,
                "prometheus: GET /metrics is always there, and its names are others",
                "take over the dashboard and the alerts of docs/how-to/monitoring.md",
            )
        elif name in ("otel", "opentelemetry"):
            plan.set("ENABLE_TRACING", "true", place)
        else:
            plan.differ(
                place,
                f"{name}: nothing is sent to other services but metrics and traces",
                "collect /metrics and the log, or traces by OTLP: docs/how-to/tracing.md",
            )


def _plan_redis(config: Mapping[str, Any], plan: MigrationPlan) -> None:
    """Plans LIMITS_URL of the Redis by which LiteLLM's processes share their limits."""
    router = mapping(config.get("router_settings"), "router_settings")
    general = mapping(config.get("litellm_settings"), "litellm_settings")
    cache_place = "litellm_settings.cache_params"
    cache = mapping(general.get("cache_params"), cache_place)
    own = {
        name.removeprefix(_REDIS): value
        for name, value in router.items()
        if name.startswith(_REDIS)
    }
    values, place = own, f"router_settings.{_REDIS}"
    if not own and cache.get("type") == "redis":
        values, place = {**cache}, f"{cache_place}."
    if not is_empty(values.get("url")):
        plan.set("LIMITS_URL", as_secret(values["url"], f"{place}url", plan), f"{place}url")
    elif not is_empty(values.get("host")):
        plan.set("LIMITS_URL", _redis_url(values, place, plan), f"{place}host")
    rest = [name for name in values if name not in _OF_REDIS]
    if rest and values is own:
        plan.differ(
            "router_settings",
            f"{', '.join(_REDIS + name for name in rest)}: not in LIMITS_URL yet",
            "LIMITS_URL takes Sentinel, clusters and a prefix: docs/how-to/limits.md",
        )
    if cache:
        plan.differ(cache_place, *ADVICE["cache"])


def _redis_url(values: Mapping[str, Any], place: str, plan: MigrationPlan) -> str:
    def given(name: str, otherwise: object) -> str:
        return as_setting(values.get(name) or otherwise, f"{place}{name}")

    user = given("username", "")
    if not is_empty(values.get("password")):
        user += f":{as_secret(values['password'], f'{place}password', plan)}"
    scheme = "rediss" if values.get("ssl") else "redis"
    at = f"{user}@" if user else ""
    return f"{scheme}://{at}{given('host', '')}:{given('port', 6379)}/{given('db', 0)}"


def _plan_guardrails(config: Mapping[str, Any], plan: MigrationPlan) -> None:
    for number, entry in enumerate(entries(config.get("guardrails"), "guardrails")):
        place = f"guardrails[{number}]"
        params = mapping(mapping(entry, place).get("litellm_params"), f"{place}.litellm_params")
        if params.get("guardrail") != "bedrock" or is_empty(params.get("guardrailIdentifier")):
            plan.differ(
                place,
                "only guardrails of Bedrock are applied, by Bedrock itself",
                "make one at AWS and name it in GUARDRAIL_IDENTIFIER",
            )
            continue
        where = f"{place}.litellm_params.guardrailIdentifier"
        plan.set("GUARDRAIL_IDENTIFIER", as_setting(params["guardrailIdentifier"], where), where)
        if not is_empty(params.get("guardrailVersion")):
            where = f"{place}.litellm_params.guardrailVersion"
            plan.set("GUARDRAIL_VERSION", as_setting(params["guardrailVersion"], where), where)
        plan.differ(
            place,
            "the guardrail is applied to question and answer of every request, whatever "
            "mode and default_on were",
            "leave GUARDRAIL_IDENTIFIER out of .env if not all requests are to pass it",
        )
