"""What the CDK app and the Terraform module both read holds with the product and the page."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from deployments import AWS, DEFAULTS, ROOT, TERRAFORM, fact
from factories import make_routes

from anthropic_bedrock_proxy.config import load_settings

PACKAGE = ROOT / "src" / "anthropic_bedrock_proxy"
PAGE = (ROOT / "docs" / "how-to" / "ecs.md").read_text()
PLACES = {
    "region": "eu-central-1",
    "limits_url": "rediss://limits.example.com:6379/0",
    "balancer_networks": "10.40.0.0/20,10.40.16.0/20",
    "workers": "2",
    "metrics": "true",
    "sandboxes": "true",
    "sandbox_url": "http://executor-0.claude-proxy.internal:8001",
}
ALONE = {
    **PLACES,
    "limits_url": "memory://",
    "metrics": "false",
    "sandboxes": "false",
    "sandbox_url": "",
}
SERVICE = fact("service.json")
# What each method of the store's tables asks of DynamoDB.
OPERATIONS = {
    "get": {"GetItem"},
    "get_many": {"BatchGetItem"},
    "put": {"PutItem"},
    "put_many": {"BatchWriteItem"},
    "update": {"UpdateItem"},
    "delete": {"DeleteItem"},
    "delete_many": {"BatchWriteItem"},
    "remove": {"GetItem", "DeleteItem"},
    "query": {"Query"},
    "scan": {"Scan"},
}


def loaded(places):
    settings = load_settings(environ=fact("environment.json", **places), env_file=None)
    assert not settings.warnings
    return settings


@pytest.fixture(scope="module")
def settings():
    """The settings of a task, as the product reads them."""
    return loaded(PLACES)


def test_a_task_without_redis_and_executors_has_settings_too():
    alone = loaded(ALONE)
    assert alone.sandbox.url is None
    assert not alone.sandbox.enable_programmatic_tool_calling
    assert not alone.telemetry.enable_metrics


def test_the_product_says_what_the_file_has():
    done = subprocess.run(
        [sys.executable, AWS / "product.py"], capture_output=True, text=True, check=True
    )
    assert done.stdout == (AWS / "product.json").read_text(), "run deploy/aws/product.py again"


def test_ports_and_paths_are_the_products(settings):
    assert settings.server.port == SERVICE["port"]
    routes = {route.template for route in make_routes(build_admin=lambda: None)}
    assert SERVICE["health"]["path"] in routes
    assert set(SERVICE["closed_paths"]) == {"/metrics", "/metrics/*"}
    assert "/metrics" in routes
    dockerfile = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    for port in (SERVICE["port"], SERVICE["executor_port"]):
        assert f"EXPOSE {port}\n" in dockerfile
    assert f"USER {SERVICE['user']}\n" in dockerfile
    assert f"VOLUME {SERVICE['data_folder']}\n" in dockerfile


def test_a_task_has_the_time_that_its_streams_need(settings):
    server, health = settings.server, SERVICE["health"]
    assert server.shutdown_delay_seconds > health["interval_seconds"] * health["unhealthy"]
    ending = server.shutdown_delay_seconds + server.shutdown_timeout_seconds
    assert ending < SERVICE["stop_seconds"] <= 120, "Fargate kills then"
    assert SERVICE["deregistration_seconds"] >= settings.upstream.total_timeout_seconds
    assert SERVICE["deregistration_seconds"] <= 3600, "a balancer allows no more"


def test_the_balancer_is_the_first_to_end_an_idle_connection(settings):
    assert SERVICE["balancer_idle_seconds"] >= 600
    assert settings.server.keep_alive_seconds > SERVICE["balancer_idle_seconds"]
    assert settings.streaming.ping_interval_seconds < SERVICE["balancer_idle_seconds"]


def test_an_outage_of_bedrock_makes_ecs_replace_no_task(settings):
    assert settings.server.ready_requires == ("credentials",)


def test_what_is_written_lies_on_the_volume(settings):
    folder = Path(SERVICE["data_folder"])
    assert settings.store.journal_path.is_relative_to(folder)
    assert fact("environment.json")["TMPDIR"] == str(folder)


def actions(text):
    return set(
        re.findall(
            r"\b(?:bedrock|bedrock-agentcore|bedrock-mantle|pricing|dynamodb|sts):[A-Z]\w+", text
        )
    )


def test_a_task_may_do_what_the_code_does_and_nothing_else():
    sources = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    stores = "".join(path.read_text() for path in PACKAGE.glob("store/dynamodb/*.py"))
    calls = re.findall(r'(?:call|_conditional|_pages)\("(\w+)"', stores)
    said = actions(sources) | actions((ROOT / "README.md").read_text())
    wanted = said | {f"dynamodb:{call}" for call in calls}
    # Tables are made by the deployment, and roles are assumed by the option that names them.
    wanted -= {"dynamodb:CreateTable", "dynamodb:UpdateTimeToLive", "sts:AssumeRole"}
    wanted -= {"bedrock-agentcore:InvokeGateway"}  # on a gateway that only its operator knows
    granted = {action for statement in fact("policy.json") for action in statement["Action"]}
    # What Bedrock asks for beside InvokeModel where GUARDRAIL_IDENTIFIER is set.
    assert granted == wanted | {"bedrock:ApplyGuardrail"}


def uses(source):
    """The methods that a source calls on tables, each with the kind of table, also by its alias."""
    named = r"(?:\w+\.)*names\.(\w+)"
    called = rf"\.({'|'.join(OPERATIONS)})\(\s*"
    found = re.findall(called + named, source)
    for alias, kind in re.findall(rf"^ +(\w+)(?:, \w+)* = {named}", source, re.MULTILINE):
        found += [(method, kind) for method in re.findall(rf"{called}{alias}\b", source)]
    return found


def test_each_table_may_be_used_as_the_store_uses_it():
    granted = {}
    for statement in fact("policy.json"):
        for kind in re.findall(r":table/\$\{(\w+)\}", " ".join(statement["Resource"])):
            granted[kind] = {action.partition(":")[2] for action in statement["Action"]}
    stores = (PACKAGE / "store" / "dynamodb").glob("*.py")
    # Migration needs more, and is run by hand.
    found = {use for path in stores if path.stem != "migration" for use in uses(path.read_text())}
    assert {("remove", "model_pricing"), ("put", "state"), ("put_many", "usage")} <= found
    for method, kind in found:
        assert OPERATIONS[method] <= granted[kind], f"{method} of {kind}"
    assert set(granted) == set(fact("product.json")["tables"])
    assert all("DescribeTable" in actions for actions in granted.values())


def test_only_what_no_resource_can_narrow_down_is_allowed_on_all():
    for statement in fact("policy.json"):
        if statement["Resource"] == ["*"]:
            assert set(statement["Action"]) == {
                "bedrock:ListFoundationModels",
                "bedrock:ListInferenceProfiles",
                "pricing:GetProducts",
            }
        else:
            assert all(arn.startswith("arn:${partition}:") for arn in statement["Resource"])


def test_options_and_their_defaults_are_the_same_for_cdk_and_terraform():
    variables = {}
    text = (TERRAFORM / "variables.tf").read_text()
    for name, body in re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL):
        default = re.search(r"default += (.+)", body)
        variables[name] = default[1] if default else '""'
    shown = {name: shown_as_hcl(value) for name, value in DEFAULTS.items()}
    assert variables == shown


def shown_as_hcl(value):
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def test_the_page_has_every_option_with_its_default_and_the_reverse():
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*)\|", PAGE, re.MULTILINE)
    documented = {name: default.strip(" `") for name, default in rows}
    shown = {name: shown_as_hcl(value).strip('"') for name, value in DEFAULTS.items()}
    assert documented == shown


def test_the_page_has_every_alarm_and_the_reverse():
    documented = re.findall(r"^\| `([a-z]\w*(?:-\w+)+)` \|", PAGE, re.MULTILINE)
    assert documented == [alarm["name"] for alarm in fact("alarms.json", min_tasks=2)]
