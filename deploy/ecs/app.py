"""The proxy on Amazon ECS, as an app of the AWS CDK (`cdk deploy --all`, docs/how-to/ecs.md).

    network     the VPC, and which group may reach which
    data        the tables, and Redis for limits; outlives the rest
    service     the balancer, the tasks and their alarms
    executors   machines for code of models, if there are any

What Terraform knows too stands in ../aws and is read by both.
"""

from __future__ import annotations

import sys
from typing import Any

import aws_cdk as cdk
from data import DataStack
from executors import ExecutorStack
from network import NetworkStack
from options import BadOptionError, Options
from service import ServiceStack


def build(app: cdk.App) -> None:
    """Adds the stacks. Raises `BadOptionError`."""
    options = Options.read(app.node.try_get_context)
    name = options.name
    network = NetworkStack(app, f"{name}-network", options)
    redis_url = None
    if options.create_tables or options.limits == "redis":
        redis_url = DataStack(app, f"{name}-data", options, network).redis_url
    service = ServiceStack(app, f"{name}-service", options, network, redis_url)
    if options.executors:
        ExecutorStack(app, f"{name}-executors", options, network, service)


def make_app(**given: Any) -> cdk.App:
    """Makes an app whose stacks need no bootstrapped account: they have no files to upload."""
    return cdk.App(default_stack_synthesizer=cdk.BootstraplessSynthesizer(), **given)


if __name__ == "__main__":
    app = make_app()
    try:
        build(app)
    except BadOptionError as error:
        sys.exit(str(error))
    app.synth()
