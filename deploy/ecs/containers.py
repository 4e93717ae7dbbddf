"""What the containers of proxies and of executors have in common: locked down, and logged."""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from constructs import Construct
from excuses import excuse
from facts import SERVICE
from options import Options


def make_log_group(scope: Construct, options: Options, kind: str) -> logs.LogGroup:
    """Makes the log group of a kind of containers."""
    group = logs.LogGroup(
        scope,
        "Log",
        log_group_name=options.log_group(kind),
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
    excuse(
        group, "CKV_AWS_158", "it holds no prompts, and CloudWatch encrypts it by keys of its own"
    )
    group.node.default_child.retention_in_days = options.log_days
    return group


def add_container(
    task: ecs.TaskDefinition,
    name: str,
    *,
    image: str,
    port: int,
    log: logs.LogGroup,
    environment: Mapping[str, str],
    secrets: Mapping[str, str],
    command: list[str] | None = None,
    memory_mib: int | None = None,
) -> ecs.ContainerDefinition:
    """Adds the container of a task; its volume "data" holds the journal, or the files of sandboxes.

    A crash is followed by the same task with the same volume (the restart policy).
    """
    linux = ecs.LinuxParameters(task, f"{name}Linux")
    linux.drop_capabilities(ecs.Capability.ALL)
    container = task.add_container(
        name,
        image=ecs.ContainerImage.from_registry(image),
        command=command,
        memory_limit_mib=memory_mib,
        environment=dict(environment),
        user=SERVICE["user"],
        readonly_root_filesystem=True,
        linux_parameters=linux,
        enable_restart_policy=True,
        stop_timeout=cdk.Duration.seconds(SERVICE["stop_seconds"]),
        port_mappings=[ecs.PortMapping(container_port=port)],
        logging=ecs.LogDrivers.aws_logs(
            stream_prefix=name, log_group=log, mode=ecs.AwsLogDriverMode.NON_BLOCKING
        ),
    )
    data = ecs.MountPoint(
        container_path=SERVICE["data_folder"], source_volume="data", read_only=False
    )
    container.add_mount_points(data)
    if secrets:
        # By ARN alone: CDK's own way would ask for an object, and know no ARN of an entry.
        entries = [{"Name": key, "ValueFrom": arn} for key, arn in sorted(secrets.items())]
        task.node.default_child.add_property_override("ContainerDefinitions.0.Secrets", entries)
    return container
