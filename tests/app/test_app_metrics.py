"""The metrics of one worker, as the settings describe them."""

from __future__ import annotations

import asyncio
import os
from types import SimpleNamespace

import pytest
from wired import wired

from anthropic_bedrock_proxy.app.metrics import check_metrics, make_board, make_metrics
from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.config import SettingsError, load_settings
from anthropic_bedrock_proxy.gateway.admission.budget_slice import Budget, BudgetSlice
from anthropic_bedrock_proxy.models.registry import Link, Registry, RoutingOptions
from anthropic_bedrock_proxy.sandbox.wire import ExecutorState
from anthropic_bedrock_proxy.store.base.ledger import Account
from anthropic_bedrock_proxy.telemetry.metrics.facts import REQUEST, STATE

HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"
ARN = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile"


def settings(**given):
    return load_settings(None, environ={"AWS_REGION": "us-east-1", **given}, env_file=None)


def slice_of(owner, month, period, dollars, left, available=0, resets_at=None):
    budget = Budget(Account(owner, month), dollars * 10**9, period, resets_at)
    made = BudgetSlice(budget)
    made.left, made.available = left, available
    return made


class Parts:
    """The parts whose states are told."""

    def __init__(self):
        self.application = SimpleNamespace(in_flight=3)
        self.failover = SimpleNamespace(
            all_breakers={("west", f"us.{HAIKU}"): SimpleNamespace(state="open")}
        )
        mapping = {"mine": f"{ARN}/mine"}
        chains = {"*": (Link(provider="west", model=f"{ARN}/chained"),)}
        self.registry = Registry(
            load_model_table(),
            RoutingOptions(region="us-east-1", mapping=mapping, chains=chains),
        )
        self.journal = SimpleNamespace(undelivered=17, failing=True)
        slices = [
            slice_of("key:a", "2026-11", "monthly", 10, 4 * 10**9, 10**9),
            slice_of("key:b", "2026-11", "monthly", 10, 0),
            slice_of("user:u", "total", "total", 10, None),
            slice_of("team:t", "2026-11-29", "daily", 4, 10**9),
            slice_of("team:t", "1970-01-01", "daily", 4, 0, resets_at=86_400),  # long ago
        ]
        self.budgets = SimpleNamespace(slices={one.budget.account: one for one in slices})
        state = ExecutorState(status="ready", containers=2, running=1, waiting=1, warm=3, errors=4)
        self.sandbox = SimpleNamespace(in_use=True, states=lambda: {"one": state, "two": None})


def told(parts, **given):
    """The lines of one rendering, without comments."""
    configured = settings(**given)
    metrics = make_metrics(configured, make_board(configured), parts.registry)
    metrics.watch(
        parts.application,
        SimpleNamespace(flush=lambda: None),
        failover=parts.failover,
        journal=parts.journal,
        budgets=parts.budgets,
        sandbox=parts.sandbox,
    )
    text, _ = asyncio.run(metrics.render(""))
    return [line for line in text.decode().splitlines() if not line.startswith("#")]


def test_states_of_every_part_are_told():
    lines = told(Parts())
    assert {
        "http_requests_in_flight 3.0",
        "usage_journal_records 17.0",
        "usage_delivery_failing 1.0",
        f'breaker_state{{bedrock_model="us.{HAIKU}",provider="west"}} 2.0',
        'budgets_exhausted{owner="key",period="monthly"} 1.0',
        'budget_left_ratio{owner="key",period="monthly"} 0.0',
        'budget_left_ratio{owner="team",period="daily"} 0.25',
        "ptc_sessions_active 2.0",
        'ptc_cells{state="running"} 1.0',
        "ptc_warm_runners 3.0",
        "ptc_container_errors_total 4.0",
        "ptc_executors_ready 1.0",
        "workers 1.0",
    } <= set(lines)
    assert not any("key:a" in line for line in lines)
    assert 'budgets_exhausted{owner="team",period="daily"} 0.0' in lines


def test_targets_are_told_without_accounts_and_names_of_clients_make_no_series():
    parts = Parts()
    closed, tripped = SimpleNamespace(state="closed"), SimpleNamespace(state="open")
    named = [("west", f"{ARN}/mine"), ("west", f"{ARN}/chained"), ("east", HAIKU)]
    made_up = [("west", f"{ARN}/{number}") for number in range(100)]
    made_up += [("west", f"us.anthropic.claude-{number}") for number in range(100)]
    parts.failover.all_breakers = dict.fromkeys(named, tripped)
    parts.failover.all_breakers |= dict.fromkeys(made_up, closed)
    parts.failover.all_breakers[made_up[50]] = tripped
    lines = [line for line in told(parts) if line.startswith("breaker_state") and "west" in line]
    without_account = ARN.replace("111122223333", "(account)")
    assert sorted(lines) == sorted(
        f'breaker_state{{bedrock_model="{model}",provider="west"}} 2.0'
        for model in (f"{without_account}/mine", f"{without_account}/chained", "other")
    )


def test_budgets_of_keys_are_told_only_on_request():
    lines = told(Parts(), METRICS_KEY_LABEL="true")
    assert {line for line in lines if line.startswith("budget_left_usd")} == {
        'budget_left_usd{owner="key:a",period="monthly"} 5.0',
        'budget_left_usd{owner="key:b",period="monthly"} 0.0',
        'budget_left_usd{owner="team:t",period="daily"} 1.0',
    }


def test_executors_that_nobody_has_needed_are_not_asked():
    parts = Parts()
    parts.sandbox = SimpleNamespace(in_use=False, states=None)
    assert not any(line.startswith("ptc_sessions") and line.endswith("2.0") for line in told(parts))


@pytest.mark.parametrize("state", [None, ExecutorState(status="idle")])
def test_executors_that_nobody_has_reached_yet_are_not_told_as_broken(state):
    parts = Parts()
    parts.sandbox = SimpleNamespace(in_use=True, states=lambda: {"one": state})
    assert not any(line.startswith("ptc_executors_ready") for line in told(parts))


def test_a_worker_that_has_ended_is_none_of_those_that_serve():
    board = make_board(settings())

    async def main():
        async with wired(board=board) as send:
            assert (await send("GET", "/health")).status == 200
            assert list(board.processes().values()) == [os.getpid()]

    asyncio.run(main())
    assert board.processes() == {}
    kinds = {series.kind.name for series in board.read()}
    assert STATE.name not in kinds
    assert REQUEST.name in kinds


def test_older_names_are_served_on_request_and_unknown_ones_refused():
    assert any("litellm_in_flight" in line for line in told(Parts(), METRICS_COMPAT="litellm"))
    check_metrics(settings(METRICS_COMPAT="litellm, otel_1_41"))
    with pytest.raises(SettingsError, match="'grafana' is none of otel_1_41"):
        check_metrics(settings(METRICS_COMPAT="grafana"))


def test_without_metrics_nothing_is_made():
    assert make_board(settings(ENABLE_METRICS="false")) is None
    assert make_metrics(settings(), None, Parts().registry) is None


def test_a_worker_without_a_slab_is_not_counted_and_serves_the_metrics_of_others(caplog):
    configured, parts = settings(), Parts()
    board = make_board(configured)
    make_metrics(configured, board, parts.registry).counter.count("limited", "key", "of others")
    full = SimpleNamespace(take=none_is_free, unread=board.unread, read=board.read)
    full.processes = board.processes
    metrics = make_metrics(configured, full, parts.registry)
    assert "not counted" in caplog.text
    metrics.counter.count("limited", "key", "its own")
    text, _ = asyncio.run(metrics.render(""))
    assert b"of others" in text
    assert b"its own" not in text


def none_is_free():
    raise OSError("no slab is free")
