"""What the tests of deploy/ecs and deploy/terraform share: option sets, facts, and the judges."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from string import Template

from environments import environment

ROOT = Path(__file__).parents[2]
AWS = ROOT / "deploy" / "aws"
ECS = ROOT / "deploy" / "ecs"
TERRAFORM = ROOT / "deploy" / "terraform"

_CONTEXT = json.loads((ECS / "cdk.json").read_text())["context"]
FLAGS = {name: value for name, value in _CONTEXT.items() if name.startswith("@")}
DEFAULTS = {name: value for name, value in _CONTEXT.items() if name not in FLAGS}

_REGISTRY = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
_SECRET = "arn:aws:secretsmanager:eu-central-1:111122223333:secret"
IMAGE = f"{_REGISTRY}/proxy@sha256:{'a' * 64}"
LEAST = {"image": IMAGE}
ENDPOINTS = {"image": IMAGE, "egress": "endpoints", "limits": "per-task", "create_tables": False}
EVERYTHING = {
    "image": IMAGE,
    "zones": 3,
    "public": True,
    "certificate_arn": "arn:aws:acm:eu-central-1:111122223333:certificate/0",
    "clients": ["203.0.113.0/24"],
    "cpu": 2048,
    "memory": 4096,
    "settings": {"LOG_LEVEL": "WARNING"},
    "secrets": {
        "MASTER_API_KEY": "arn:aws:ssm:eu-central-1:111122223333:parameter/master",
        "METRICS_TOKEN": f"{_SECRET}:metrics-AbCdEf:token::",
        "SANDBOX_TOKEN": f"{_SECRET}:sandbox-AbCdEf",
    },
    "assume_roles": ["arn:aws:iam::444455556666:role/models"],
    "alarm_topic_arn": "arn:aws:sns:eu-central-1:111122223333:alarms",
    "executors": 2,
    "executor_image": f"{_REGISTRY}/proxy:0.1.0-ptc",
    "executor_settings": {"PTC_SANDBOX_IMAGE": "python:3.13-slim"},
}
# What cannot work, by its refusal in refusals.json; each beside LEAST.
BAD = [
    ("name", {"name": "Claude"}),
    ("image_pinned", {"image": "registry.example.com/proxy:latest"}),
    ("image_pinned", {"image": "registry.example.com/proxy"}),
    ("networks", {"vpc_cidr": "10.0.0.0"}),
    ("networks", {"clients": ["everybody"]}),
    ("zones", {"zones": 1}),
    ("egress", {"egress": "proxy"}),
    ("endpoints_image", {"egress": "endpoints", "image": "registry.example.com/proxy:0.1.0"}),
    ("endpoints_executors", {**EVERYTHING, "egress": "endpoints"}),
    ("public_certificate", {"public": True, "clients": ["203.0.113.0/24"]}),
    ("public_keys", {**EVERYTHING, "settings": {"require_api_key": "false"}}),
    ("public_clients", {**EVERYTHING, "clients": []}),
    ("table_prefix", {"table_prefix": "*"}),
    ("limits", {"limits": "memory"}),
    ("tasks", {"min_tasks": 3, "max_tasks": 2}),
    ("tasks", {"min_tasks": 0}),
    ("fargate_size", {"cpu": 1024, "memory": 1024}),
    ("fargate_size", {"cpu": 1000}),
    ("architecture", {"architecture": "arm"}),
    ("secret_in_settings", {"settings": {"MASTER_API_KEY": "sk-known"}}),
    ("secret_in_settings", {"settings": {"master_api_key": "sk-known"}}),
    ("fixed_setting", {"settings": {"SHUTDOWN_TIMEOUT": "600"}}),
    ("fixed_setting", {"executor_settings": {"SANDBOX_ISOLATION": "sandlock"}}),
    ("fixed_setting", {"settings": {"DYNAMODB_USAGE_TABLE": "mine"}}),
    ("fixed_setting", {"secrets": {"LIMITS_URL": EVERYTHING["secrets"]["METRICS_TOKEN"]}}),
    ("secret_arns", {"secrets": {"MASTER_API_KEY": "sk-known"}}),
    ("secret_arns", {"secrets": {"MASTER_API_KEY": f"{_SECRET}:*"}}),
    ("role_arns", {"assume_roles": ["models"]}),
    ("role_arns", {"assume_roles": ["arn:aws:iam::444455556666:role/*"]}),
    ("executors", {"executors": -1}),
    ("executor_image_pinned", {**EVERYTHING, "executor_image": ""}),
    ("executor_token", {**EVERYTHING, "secrets": {}}),
]


def fact(name, **values):
    """A JSON file of deploy/aws; filled in, if values are given."""
    text = (AWS / name).read_text()
    return json.loads(Template(text).substitute(values) if values else text)


def tools():
    """The folder of the programs that synthesise and judge."""
    requirements = ROOT / "requirements" / "infrastructure.txt"
    return environment(ROOT / ".venv-infrastructure", requirements, "checkov").parent


def check(folder, framework):
    """Lets checkov judge a folder; returns what it complains about, as lines."""
    command = [tools() / "checkov", "--framework", framework, "--skip-download", "-o", "json", "-d"]
    done = subprocess.run([*command, folder], capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["summary"]["passed"] > 50, "it has looked"
    assert report["summary"]["parsing_errors"] == 0
    return [
        f"{one['check_id']} {one['resource']}: {one['check_name']}"
        for one in report["results"]["failed_checks"]
    ]
