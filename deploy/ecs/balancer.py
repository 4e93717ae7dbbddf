"""The load balancer: inside of the VPC unless a certificate is given and `public` is said."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from constructs import Construct
from excuses import excuse
from facts import SERVICE
from network import NetworkStack
from options import Options

_SECONDS = cdk.Duration.seconds


class Balancer(Construct):
    """The balancer, its listener and the target group of the tasks."""

    def __init__(
        self, scope: Construct, name: str, options: Options, network: NetworkStack
    ) -> None:
        super().__init__(scope, name)
        self.balancer = elb.ApplicationLoadBalancer(
            self,
            "Balancer",
            vpc=network.vpc,
            internet_facing=options.public,
            vpc_subnets=ec2.SubnetSelection(subnets=network.balancer_subnets),
            security_group=network.balancer,
            idle_timeout=_SECONDS(SERVICE["balancer_idle_seconds"]),
            drop_invalid_header_fields=True,
            deletion_protection=True,
        )
        excuse(self.balancer, "CKV_AWS_91", "the proxy's own access log has every request")
        self.targets = self._make_targets(network.vpc)
        self._listen(options)
        scheme = "https" if options.certificate_arn else "http"
        self.url = f"{scheme}://{self.balancer.load_balancer_dns_name}"

    def serve(self, service: ecs.FargateService) -> None:
        """Sends requests to the tasks of a service."""
        self.targets.add_target(service)
        # ECS refuses a service whose target group has no balancer yet.
        service.node.add_dependency(self.balancer)
        service.node.add_dependency(self.targets.load_balancer_attached)

    def _make_targets(self, vpc: ec2.Vpc) -> elb.ApplicationTargetGroup:
        health = SERVICE["health"]
        return elb.ApplicationTargetGroup(
            self,
            "Targets",
            vpc=vpc,
            port=SERVICE["port"],
            protocol=elb.ApplicationProtocol.HTTP,
            target_type=elb.TargetType.IP,
            load_balancing_algorithm_type=elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
            # ECS sends SIGTERM only when this has ended, or no connection is left.
            deregistration_delay=_SECONDS(SERVICE["deregistration_seconds"]),
            health_check=elb.HealthCheck(
                path=health["path"],
                healthy_http_codes="200",
                interval=_SECONDS(health["interval_seconds"]),
                timeout=_SECONDS(health["timeout_seconds"]),
                healthy_threshold_count=health["healthy"],
                unhealthy_threshold_count=health["unhealthy"],
            ),
        )

    def _listen(self, options: Options) -> None:
        forward = elb.ListenerAction.forward([self.targets])
        if options.certificate_arn:
            listener = self.balancer.add_listener(
                "Https",
                port=options.balancer_port,
                certificates=[elb.ListenerCertificate.from_arn(options.certificate_arn)],
                ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
                default_action=forward,
                open=False,
            )
        else:
            listener = self.balancer.add_listener(
                "Http",
                port=options.balancer_port,
                protocol=elb.ApplicationProtocol.HTTP,
                default_action=forward,
                open=False,
            )
        listener.add_action(
            "Closed",
            priority=1,
            conditions=[elb.ListenerCondition.path_patterns(SERVICE["closed_paths"])],
            action=elb.ListenerAction.fixed_response(404),
        )
