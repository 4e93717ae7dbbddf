"""Executors of sandboxes: each a machine of its own, which alone has the Docker socket.

A container of a conversation lives in one executor, and its id says in which: so each is a service
of one task, on a machine with its number, at a name of its own, never behind a balancer.
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_servicediscovery as discovery
from constructs import Construct
from containers import add_container, make_log_group
from facts import EXECUTOR_ENVIRONMENT, SERVICE, text
from network import NetworkStack
from options import Options
from permissions import make_execution_role
from service import ServiceStack

_SOCKET = "/var/run/docker.sock"
_MEMORY_MIB = 512  # of the executor itself; sandboxes are beside it, not in it


class ExecutorStack(cdk.Stack):
    """All executors, and the names by which proxies reach them."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        options: Options,
        network: NetworkStack,
        service: ServiceStack,
    ) -> None:
        super().__init__(scope, name, description="Sandboxes of the Anthropic Bedrock proxy")
        self._options, self._network = options, network
        self.add_stack_dependency(service)
        # That of the service, but with machines, of which its own object knows nothing.
        self._cluster = ecs.Cluster.from_cluster_attributes(
            self,
            "Cluster",
            cluster_name=service.cluster.cluster_name,
            vpc=network.vpc,
            has_ec2_capacity=True,
        )
        namespace = discovery.PrivateDnsNamespace(
            self, "Names", name=options.domain, vpc=network.vpc
        )
        task = self._make_task(make_log_group(self, options, "executors"))
        role = iam.Role(
            self,
            "MachineRole",
            assumed_by=iam.ServicePrincipal("ec2.amazonaws.com"),
            managed_policies=[
                iam.ManagedPolicy.from_aws_managed_policy_name(
                    "service-role/AmazonEC2ContainerServiceforEC2Role"
                )
            ],
        )
        for number in range(options.executors):
            self._add_machine(number, role)
            self._add_service(number, task, namespace)

    def _make_task(self, log: logs.LogGroup) -> ecs.Ec2TaskDefinition:
        options = self._options
        token = {"SANDBOX_TOKEN": options.secrets["SANDBOX_TOKEN"]}
        task = ecs.Ec2TaskDefinition(
            self,
            "Task",
            network_mode=ecs.NetworkMode.AWS_VPC,
            execution_role=make_execution_role(
                self, "ExecutionRole", options.log_group("executors"), token.values()
            ),
            volumes=[
                # Docker's own volume: it takes over the owner that the image gave to the folder.
                ecs.Volume(
                    name="data",
                    docker_volume_configuration=ecs.DockerVolumeConfiguration(
                        driver="local", scope=ecs.Scope.TASK
                    ),
                ),
                ecs.Volume(name="docker", host=ecs.Host(source_path=_SOCKET)),
            ],
        )
        port = SERVICE["executor_port"]
        container = add_container(
            task,
            "executor",
            image=options.executor_image,
            command=["sandboxd", "--listen", f"http://0.0.0.0:{port}"],
            port=port,
            log=log,
            environment={**EXECUTOR_ENVIRONMENT, **options.executor_settings},
            secrets=token,
            memory_mib=_MEMORY_MIB,
        )
        socket = ecs.MountPoint(container_path=_SOCKET, source_volume="docker", read_only=False)
        container.add_mount_points(socket)
        return task

    def _add_machine(self, number: int, role: iam.Role) -> None:
        options = self._options
        start = text("executor.sh", cluster=self._cluster.cluster_name, number=number)
        template = ec2.LaunchTemplate(
            self,
            f"Machine{number}",
            instance_type=ec2.InstanceType(options.executor_instance_type),
            machine_image=ecs.EcsOptimizedImage.amazon_linux2023(),
            security_group=self._network.machines,
            role=role,
            user_data=ec2.UserData.custom(start),
            require_imdsv2=True,
            http_put_response_hop_limit=1,  # not from containers
            associate_public_ip_address=False,
            block_devices=[
                ec2.BlockDevice(
                    device_name="/dev/xvda",
                    volume=ec2.BlockDeviceVolume.ebs(
                        40, encrypted=True, volume_type=ec2.EbsDeviceVolumeType.GP3
                    ),
                )
            ],
        )
        autoscaling.AutoScalingGroup(
            self,
            f"Machines{number}",
            vpc=self._network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="tasks"),
            launch_template=template,
            min_capacity=1,
            max_capacity=1,
        )

    def _add_service(
        self, number: int, task: ecs.Ec2TaskDefinition, namespace: discovery.PrivateDnsNamespace
    ) -> None:
        ecs.Ec2Service(
            self,
            f"Executor{number}",
            cluster=self._cluster,
            task_definition=task,
            desired_count=1,
            min_healthy_percent=0,  # the old one ends before the new one has the machine
            max_healthy_percent=100,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="tasks"),
            security_groups=[self._network.executors],
            placement_constraints=[
                ecs.PlacementConstraint.member_of(f"attribute:executor == {number}")
            ],
            cloud_map_options=ecs.CloudMapOptions(
                name=self._options.executor_names[number],
                cloud_map_namespace=namespace,
                dns_record_type=discovery.DnsRecordType.A,
                dns_ttl=cdk.Duration.seconds(10),
            ),
        )
