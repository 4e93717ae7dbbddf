"""The options of a deployment: their defaults stand in cdk.json; what cannot work is refused."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from facts import ENVIRONMENT, EXECUTOR_ENVIRONMENT, PRODUCT, REFUSALS, SERVICE

_PINNED: Final = r"[^\s@]+(?:@sha256:[0-9a-f]{64}|:(?!latest$)[\w.-]+)"
_OWN_REGISTRY: Final = r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/.+"
_KEPT_ARN: Final = (
    r"arn:[\w-]+:(?:secretsmanager:[^:]+:\d+:secret:|ssm:[^:]+:\d+:parameter/)[^\s*?]+"
)
_ROLE_ARN: Final = r"arn:[\w-]+:iam::\d{12}:role/[^\s*?]+"


class BadOptionError(ValueError):
    """An option, or some together, that cannot work; the text says what would."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options, one field for each entry of cdk.json's context (docs/how-to/ecs.md)."""

    name: str
    image: str
    vpc_cidr: str
    zones: int
    egress: str
    public: bool
    certificate_arn: str
    clients: list[str]
    table_prefix: str
    create_tables: bool
    limits: str
    redis_node_type: str
    cpu: int
    memory: int
    architecture: str
    min_tasks: int
    max_tasks: int
    settings: dict[str, str]
    secrets: dict[str, str]
    assume_roles: list[str]
    log_days: int
    alarm_topic_arn: str
    executors: int
    executor_image: str
    executor_instance_type: str
    executor_settings: dict[str, str]

    @classmethod
    def read(cls, given: Callable[[str], Any]) -> Self:
        """Makes options of what `given` returns by name. Raises `BadOptionError`."""
        annotations = {field.name: field.type for field in fields(cls)}
        options = cls(
            **{name: _value(name, str(kind), given(name)) for name, kind in annotations.items()}
        )
        for refusal, holds in options._rules().items():
            if not holds:
                raise BadOptionError(REFUSALS[refusal])
        return options

    @property
    def tables(self) -> dict[str, str]:
        """Returns the names of the tables by kind."""
        described = PRODUCT["tables"].items()
        return {kind: f"{self.table_prefix}-{table['suffix']}" for kind, table in described}

    @property
    def workers(self) -> int:
        """Returns how many processes serve in a task: one for each processor."""
        return max(1, self.cpu // 1024)

    @property
    def balancer_port(self) -> int:
        """Returns the port of the balancer: HTTPS with a certificate, else HTTP."""
        return 443 if self.certificate_arn else 80

    @property
    def domain(self) -> str:
        """Returns the private domain of the executors' names."""
        return f"{self.name}.internal"

    @property
    def executor_names(self) -> list[str]:
        """Returns the executors' names in that domain."""
        return [f"executor-{number}" for number in range(self.executors)]

    @property
    def executor_urls(self) -> list[str]:
        """Returns the executors' addresses, which they have by Cloud Map."""
        port = SERVICE["executor_port"]
        return [f"http://{name}.{self.domain}:{port}" for name in self.executor_names]

    def log_group(self, kind: str) -> str:
        """Returns the name of a log group, which permissions are told before it is there."""
        return f"/{self.name}/{kind}"

    def _rules(self) -> Mapping[str, bool]:
        """Tells which rules hold, by their refusals in refusals.json."""
        size = SERVICE["fargate"].get(str(self.cpu))
        # The proxy reads names in any case.
        settings = {name.upper() for name in (*self.settings, *self.executor_settings)}
        secrets = {name.upper() for name in self.secrets}
        tables = {table["setting"] for table in PRODUCT["tables"].values()}
        fixed = {*ENVIRONMENT, *EXECUTOR_ENVIRONMENT, *tables}
        own_image = re.fullmatch(_OWN_REGISTRY, self.image) is not None
        return {
            "name": _matches(r"[a-z][a-z0-9-]{1,18}[a-z0-9]", self.name),
            "image_pinned": _matches(_PINNED, self.image),
            "networks": all(map(_is_network, [self.vpc_cidr, *self.clients])),
            "zones": self.zones in {2, 3},
            "egress": self.egress in {"nat", "endpoints"},
            "endpoints_image": self.egress != "endpoints" or own_image,
            "endpoints_executors": self.egress != "endpoints" or not self.executors,
            "public_certificate": not self.public or bool(self.certificate_arn),
            "public_keys": not self.public or "REQUIRE_API_KEY" not in settings | secrets,
            "public_clients": not self.public or bool(self.clients),
            "table_prefix": _matches(r"[A-Za-z0-9_.-]{3,200}", self.table_prefix),
            "limits": self.limits in {"redis", "per-task"},
            "tasks": 1 <= self.min_tasks <= self.max_tasks,
            "fargate_size": bool(size) and size["least"] <= self.memory <= size["most"],
            "architecture": self.architecture in {"X86_64", "ARM64"},
            "secret_in_settings": not settings & {*PRODUCT["secret_settings"]},
            "fixed_setting": not (settings | secrets) & fixed,
            "secret_arns": all(_matches(_KEPT_ARN, arn) for arn in self.secrets.values()),
            "role_arns": all(_matches(_ROLE_ARN, arn) for arn in self.assume_roles),
            "executors": self.executors >= 0,
            "executor_image_pinned": not self.executors or _matches(_PINNED, self.executor_image),
            "executor_token": not self.executors or "SANDBOX_TOKEN" in self.secrets,
        }


def _matches(pattern: str, given: str) -> bool:
    return re.fullmatch(pattern, given) is not None


def _is_network(given: str) -> bool:
    try:
        return "/" in given and bool(ipaddress.IPv4Network(given))
    except ValueError:
        return False


def _value(name: str, kind: str, given: Any) -> Any:
    """Reads a value as cdk.json has it, or as the text that `cdk -c NAME=VALUE` makes of it."""
    if isinstance(given, str) and kind != "str":
        try:
            given = json.loads(given)
        except ValueError as error:
            raise BadOptionError(f"{name} is not JSON: {given}") from error
    wanted = {"str": str, "int": int, "bool": bool, "list[str]": list, "dict[str, str]": dict}[kind]
    inner = given.values() if wanted is dict and type(given) is dict else given
    of_texts = wanted in (list, dict)
    if type(given) is not wanted or (of_texts and not all(isinstance(one, str) for one in inner)):
        raise BadOptionError(f"{name} is {kind}, and not {given!r}")
    return given
