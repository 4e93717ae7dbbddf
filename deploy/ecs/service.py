"""The proxy itself: tasks on Fargate behind a load balancer, as many as their load asks for."""

from __future__ import annotations

import aws_cdk as cdk
from alarms import add_alarms
from aws_cdk import aws_ecs as ecs
from balancer import Balancer
from constructs import Construct
from containers import add_container, make_log_group
from excuses import excuse
from facts import PRODUCT, SERVICE, document
from network import NetworkStack
from options import Options
from permissions import make_execution_role, make_task_role


class ServiceStack(cdk.Stack):
    """The balancer, the tasks and their alarms."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        options: Options,
        network: NetworkStack,
        redis_url: str | None,
    ) -> None:
        super().__init__(scope, name, description="The Anthropic Bedrock proxy")
        self._options = options
        # Not the whole VPC: who is believed may say where a request comes from.
        self._balancer_networks = [subnet.ipv4_cidr_block for subnet in network.balancer_subnets]
        self.cluster = ecs.Cluster(self, "Cluster", vpc=network.vpc, cluster_name=options.name)
        excuse(
            self.cluster, "CKV_AWS_65", "Container Insights is priced by metric; alarms need none"
        )
        task = self._make_task(redis_url)
        balancer = Balancer(self, "Balancer", options, network)
        service = ecs.FargateService(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=task,
            security_groups=[network.tasks],
            min_healthy_percent=100,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            health_check_grace_period=cdk.Duration.seconds(SERVICE["startup_seconds"]),
        )
        balancer.serve(service)
        self._scale(service)
        add_alarms(
            self,
            options,
            load_balancer=balancer.balancer.load_balancer_full_name,
            target_group=balancer.targets.target_group_full_name,
            cluster=self.cluster.cluster_name,
            service=service.service_name,
        )
        cdk.CfnOutput(self, "Url", value=balancer.url)

    def _make_task(self, redis_url: str | None) -> ecs.FargateTaskDefinition:
        options = self._options
        log = make_log_group(self, options, "proxy")
        task = ecs.FargateTaskDefinition(
            self,
            "Task",
            cpu=options.cpu,
            memory_limit_mib=options.memory,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.of(options.architecture),
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
            task_role=make_task_role(self, "TaskRole", options),
            execution_role=make_execution_role(
                self, "ExecutionRole", options.log_group("proxy"), options.secrets.values()
            ),
            volumes=[ecs.Volume(name="data")],
        )
        add_container(
            task,
            "proxy",
            image=options.image,
            port=SERVICE["port"],
            log=log,
            environment=self._environment(redis_url),
            secrets=options.secrets,
        )
        return task

    def _environment(self, redis_url: str | None) -> dict[str, str]:
        options = self._options
        fixed = document(
            "environment.json",
            region=self.region,
            limits_url=redis_url or "memory://",
            balancer_networks=",".join(self._balancer_networks),
            workers=options.workers,
            metrics=str("METRICS_TOKEN" in options.secrets).lower(),
            sandboxes=str(bool(options.executors)).lower(),
            sandbox_url=",".join(options.executor_urls),
        )
        tables = {PRODUCT["tables"][kind]["setting"]: one for kind, one in options.tables.items()}
        return {**fixed, **tables, **options.settings}

    def _scale(self, service: ecs.FargateService) -> None:
        scaling = SERVICE["scaling"]
        count = service.auto_scale_task_count(
            min_capacity=self._options.min_tasks, max_capacity=self._options.max_tasks
        )
        count.scale_on_cpu_utilization(
            "Cpu",
            target_utilization_percent=scaling["cpu_percent"],
            scale_in_cooldown=cdk.Duration.seconds(scaling["in_seconds"]),
            scale_out_cooldown=cdk.Duration.seconds(scaling["out_seconds"]),
        )
