"""Rate limits and budgets: their defaults, and what holds when nobody can count."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from typing import Annotated, Literal

from .. import rules
from ..schema import Section, Setting


class LimitSettings(Section, frozen=True):
    """Rate limits. A key's own rate replaces the default one."""

    url: Annotated[
        str,
        Setting(
            "LIMITS_URL",
            "Where limits are counted: on this machine, by all processes that share the data "
            "directory, or in Redis (Valkey) for all machines together: one server, what Sentinel "
            "names, or a cluster. `?ssl_ca_certs=PATH` trusts a private authority, `?prefix=NAME` "
            "keeps installations apart.",
            rule=rules.LIMITS,
            url=True,
        ),
    ] = "memory://"
    enabled: Annotated[
        bool,
        Setting("RATE_LIMIT_ENABLED", "Apply limits: requests, tokens, and requests at once."),
    ] = True
    requests: Annotated[
        int,
        Setting("RATE_LIMIT_REQUESTS", "Requests per window of keys without their own.", minimum=1),
    ] = 1000
    window_seconds: Annotated[
        int,
        Setting("RATE_LIMIT_WINDOW", "Length of that window.", minimum=1),
    ] = 60
    master_requests: Annotated[
        int | None,
        Setting(
            "MASTER_KEY_RATE_LIMIT",
            "Requests per minute of the master key; unset: it has no limits.",
            minimum=1,
        ),
    ] = None
    output_estimate: Annotated[
        int,
        Setting(
            "TPM_OUTPUT_ESTIMATE",
            "Output tokens that a request takes from its limits when it begins, if it may write "
            "as many; the difference is settled when it ends.",
            minimum=0,
        ),
    ] = 4096
    timeout_seconds: Annotated[
        float,
        Setting("LIMITS_TIMEOUT", "How long a request waits for Redis.", minimum=0.001),
    ] = 0.1
    on_failure: Annotated[
        Literal["open", "closed"],
        Setting(
            "LIMITS_ON_FAILURE",
            "Without Redis: open counts on this machine alone, closed refuses requests with 503.",
        ),
    ] = "open"


class BudgetSettings(Section, frozen=True):
    """Money that keys, users and teams may spend."""

    holds: Annotated[
        Literal["off", "expected", "max"],
        Setting(
            "BUDGET_HOLDS",
            "What a running request holds of its budgets: nothing (`off`), what such requests of "
            "the key and model usually cost (`expected`), or the most that it may cost (`max`: no "
            "budget is ever overspent, but a large max_tokens may be refused in vain).",
        ),
    ] = "expected"
    unpriced_models: Annotated[
        Literal["serve", "refuse"],
        Setting(
            "UNPRICED_MODELS",
            "Requests of keys with budgets for a model that has no known price: serve (they count "
            "as `unpriced`, no budget counts their cost) or refuse with 400.",
        ),
    ] = "serve"
    on_failure: Annotated[
        Literal["open", "closed"],
        Setting(
            "BUDGETS_ON_FAILURE",
            "While the store does not answer: open lets go on who was not over budget, closed "
            "refuses with 503.",
        ),
    ] = "open"
    exceeded_status: Annotated[
        Literal["auto", "403", "429"],
        Setting(
            "BUDGET_EXCEEDED_STATUS",
            "The status of a request whose budget is used up: 403 (`permission_error`) or 429 "
            "(`billing_error`). `auto`: 429 for Claude Code, which takes a 403 for a failed "
            "log-in.",
        ),
    ] = "auto"
    report_cost: Annotated[
        bool,
        Setting(
            "REPORT_COST",
            "Tell clients what an answer has cost: `usage.cost_usd`, and the header "
            "x-cost-usd of answers that do not stream.",
        ),
    ] = False
