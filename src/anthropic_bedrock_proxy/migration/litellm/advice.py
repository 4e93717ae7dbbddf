"""Parts of an installation without a counterpart: why there is none, and what to do instead.

Source of the names: docs.litellm.ai, "All settings" and "Virtual Keys".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from ..plan import MigrationPlan
from ..shape import is_empty

OTHER: Final = ("nothing here has this effect", "leave it, or see docs/how-to/migrate-litellm.md")

_DATABASE: Final = (
    "LiteLLM's database is not read",
    "give the answers of its API: --keys, --teams, --users; STORE_URL says where ours are kept",
)
_ALERTS: Final = (
    "the proxy sends no messages to people",
    "let Prometheus do it: docs/how-to/monitoring.md has the rules",
)
_ROUTING: Final = (
    "targets are tried in the order of their chain, and a conversation stays where it was served",
    "order model_list as its entries are to be tried: docs/how-to/failover.md",
)
_CACHE: Final = (
    "answers are not cached; prompts are, by Bedrock",
    "cache_control in requests, or DEFAULT_CACHE_TTL in .env",
)
_SIGN_ON: Final = (
    "clients have API keys and nothing else",
    "give keys; allowed_networks bounds them: docs/how-to/keys.md",
)
_LIMIT_OF_ALL: Final = (
    "limits and budgets are those of keys, users and teams",
    "put the keys into one team, and give that the limit: docs/how-to/teams.md",
)
_NEW_KEYS: Final = (
    "keys are made by operators, each with its own limits",
    "`keys create --team`, where the team bounds them all",
)
_OTHER_PATHS: Final = (
    "the proxy has the paths of Anthropic's API alone",
    "leave the clients of these where they are",
)
_TOOLS: Final = ("the proxy is no MCP client", "leave MCP to the clients")
_PROMPTS: Final = (
    "prompts are in no log, unless of keys that LOG_CONTENT_KEYS names",
    "there is nothing to do",
)

ADVICE: Final[Mapping[str, tuple[str, str]]] = {
    "database_url": _DATABASE,
    "database_connection_pool_limit": _DATABASE,
    "database_connection_timeout": _DATABASE,
    "store_model_in_db": (
        "models that were added in the admin page are in LiteLLM's database, not in this file",
        "add them to model_list first (/model/info lists them)",
    ),
    "allow_requests_on_db_unavailable": (
        "known keys go on while the store is away, and new ones do not",
        "BUDGETS_ON_FAILURE says what becomes of budgets meanwhile",
    ),
    "disable_spend_logs": (
        "usage is always counted",
        "USAGE_TTL_DAYS says how long records are kept",
    ),
    "store_prompts_in_spend_logs": _PROMPTS,
    "turn_off_message_logging": _PROMPTS,
    "redact_user_api_key_info": ("logs name keys by their ids alone", "there is nothing to do"),
    "set_verbose": ("it is LOG_LEVEL here", "LOG_LEVEL=DEBUG in .env, for as long as it is needed"),
    "alerting": _ALERTS,
    "alerting_threshold": _ALERTS,
    "alert_types": _ALERTS,
    "alert_to_webhook_url": _ALERTS,
    "alerting_args": _ALERTS,
    "routing_strategy": _ROUTING,
    "routing_strategy_args": _ROUTING,
    "enable_pre_call_checks": _ROUTING,
    "enable_tag_filtering": _ROUTING,
    "disable_cooldowns": (
        "a target that fails is left alone for a while",
        "FAILOVER_COOLDOWN=0.05 is the shortest",
    ),
    "retry_policy": ("every error that may pass is retried alike", "UPSTREAM_MAX_ATTEMPTS in .env"),
    "allowed_fails_policy": ("failures are counted together", "FAILOVER_FAILURES in .env"),
    "retry_after": (
        "the wait grows, or is that of Retry-After",
        "UPSTREAM_RETRY_SECONDS bounds it",
    ),
    "cache": _CACHE,
    "caching_groups": _CACHE,
    "enable_jwt_auth": _SIGN_ON,
    "litellm_jwtauth": _SIGN_ON,
    "custom_auth": _SIGN_ON,
    "allowed_routes": _SIGN_ON,
    "allowed_ips": (
        "addresses are those of keys, not of the server",
        "`keys update --allow-network`, or a firewall",
    ),
    "max_budget": _LIMIT_OF_ALL,
    "budget_duration": _LIMIT_OF_ALL,
    "max_parallel_requests": _LIMIT_OF_ALL,
    "global_max_parallel_requests": _LIMIT_OF_ALL,
    "default_team_settings": _LIMIT_OF_ALL,
    "max_internal_user_budget": _NEW_KEYS,
    "default_internal_user_params": _NEW_KEYS,
    "default_key_generate_params": _NEW_KEYS,
    "upperbound_key_generate_params": _NEW_KEYS,
    "key_generation_settings": _NEW_KEYS,
    "default_team_params": _NEW_KEYS,
    "key_management_system": (
        "secrets come from the environment and .env",
        "let the platform set them: docs/how-to/credentials.md",
    ),
    "pass_through_endpoints": _OTHER_PATHS,
    "vector_store_registry": _OTHER_PATHS,
    "files_settings": _OTHER_PATHS,
    "finetune_settings": _OTHER_PATHS,
    "assistant_settings": _OTHER_PATHS,
    "search_tools": _OTHER_PATHS,
    "mcp_servers": _TOOLS,
    "mcp_aliases": _TOOLS,
    "callback_settings": (
        "traces and metrics have settings of their own",
        "docs/how-to/tracing.md and docs/how-to/monitoring.md",
    ),
    "environment_variables": (
        "the file set these for LiteLLM's process, and secrets may be among them",
        "put those that lines of .env name into the environment, or into .env before them",
    ),
    "credential_list": (
        "credentials are those of providers",
        "PROVIDERS, or `providers add`, which keeps them encrypted: docs/how-to/models.md",
    ),
    "include": (
        "the files that it names were not read",
        "put what they hold into one file and run this again",
    ),
}
_QUOTAS: Final = (
    "a deployment has no limits: AWS throttles, and that leads to the next target",
    "limit keys, users or teams: docs/how-to/limits.md",
)
# Of fields of litellm_params.
ADVICE_FOR_DEPLOYMENTS: Final[Mapping[str, tuple[str, str]]] = {
    "rpm": _QUOTAS,
    "tpm": _QUOTAS,
    "max_parallel_requests": _QUOTAS,
    "weight": (
        "targets are tried in order, and not by weight",
        "order model_list as they are to be tried; conversations stay where they were served",
    ),
    "timeout": ("time-outs are those of all models", "BEDROCK_TIMEOUT in .env"),
    "stream_timeout": (
        "time-outs are those of all models",
        "UPSTREAM_FIRST_BYTE_TIMEOUT and FAILOVER_FIRST_BYTE_TIMEOUT in .env",
    ),
    "max_retries": ("retries are those of all models", "UPSTREAM_MAX_ATTEMPTS in .env"),
    "guardrailConfig": (
        "a guardrail is that of all requests",
        "GUARDRAIL_IDENTIFIER and GUARDRAIL_VERSION in .env",
    ),
    "aws_web_identity_token": (
        "a web identity is not one provider's",
        "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, which the AWS default chain reads",
    ),
}
# Of fields of keys, users and teams.
ADVICE_FOR_CALLERS: Final[Mapping[str, tuple[str, str]]] = {
    "soft_budget": ("warnings come at 80 and 100 percent of a budget", "watch the log or metrics"),
    "model_max_budget": (
        "budgets are for all models together",
        "give a key of its own to the model",
    ),
    "budget_limits": ("a key has one budget of each length", "choose one: docs/how-to/budgets.md"),
    "metadata": ("keys have no notes; limits per model may be among these", "keep them elsewhere"),
    "tags": ("keys have no tags", "teams group what `usage --by team` adds up"),
    "aliases": ("names of models are those of all keys", "`models map`"),
    "organization_id": (
        "above teams there is nothing",
        "make the organization's limit one of a team",
    ),
    "org_id": ("above teams there is nothing", "make the organization's limit one of a team"),
    "user_role": ("a user has no role", "`keys create --admin-scope` makes a key that administers"),
    "members_with_roles": ("keys name their team; people are not members", "`keys update --team`"),
    "permissions": ("there are no such permissions", "allowed models, tools and networks of a key"),
    "allowed_routes": ("a key may use every path of the API", "leave it"),
    "object_permission": ("there are no MCP servers and vector stores", "leave it"),
    "auto_rotate": ("keys are rotated by who holds them", "`keys rotate --overlap`"),
    "sso_user_id": ("clients have API keys and nothing else", "leave it"),
}


def tell_rest(
    values: Mapping[str, Any],
    known: Collection[str],
    place: str,
    advice: Mapping[str, tuple[str, str]],
    plan: MigrationPlan,
) -> None:
    """Tells of every field that is not known and says something, with the advice on it."""
    for name, value in values.items():
        if name not in known and not is_empty(value):
            plan.differ(f"{place}.{name}", *advice.get(name, OTHER))
