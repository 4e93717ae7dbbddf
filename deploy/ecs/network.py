"""The VPC, and the security groups: the only place that says who may reach whom."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from constructs import Construct
from facts import SERVICE
from options import Options


class NetworkStack(cdk.Stack):
    """Two or three zones: balancers and NAT gateways in public subnets, others in private."""

    def __init__(self, scope: Construct, name: str, options: Options) -> None:
        super().__init__(scope, name, description="Network of the Anthropic Bedrock proxy")
        self.vpc = self._make_vpc(options)
        self._add_endpoints(options)
        self.balancer_subnets = self.vpc.select_subnets(
            subnet_group_name="public" if options.public else "tasks"
        ).subnets
        self.balancer = self._group("Balancer", "The load balancer: clients come in here")
        self.tasks = self._group("Tasks", "Tasks of the proxy")
        self.redis = self._group("Redis", "Redis, which limits are counted in")
        self.executors = self._group("Executors", "Executors of sandboxes: they reach nothing")
        self.machines = self._group("Machines", "Machines of executors: nothing comes in")
        self._connect(options)
        # To let in a Prometheus, for example: its group, port 8000.
        cdk.CfnOutput(self, "TasksSecurityGroup", value=self.tasks.security_group_id)

    def _make_vpc(self, options: Options) -> ec2.Vpc:
        by_nat = options.egress == "nat"
        kind = ec2.SubnetType.PRIVATE_WITH_EGRESS if by_nat else ec2.SubnetType.PRIVATE_ISOLATED
        subnets = [ec2.SubnetConfiguration(name="tasks", subnet_type=kind, cidr_mask=20)]
        if by_nat or options.public:
            public = ec2.SubnetConfiguration(
                name="public",
                subnet_type=ec2.SubnetType.PUBLIC,
                cidr_mask=24,
                map_public_ip_on_launch=False,
            )
            subnets.append(public)
        zones = cdk.Fn.get_azs()
        return ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(options.vpc_cidr),
            # Not max_zones: that would ask the account which zones it has.
            availability_zones=[cdk.Fn.select(n, zones) for n in range(options.zones)],
            nat_gateways=options.zones if by_nat else 0,
            subnet_configuration=subnets,
        )

    def _add_endpoints(self, options: Options) -> None:
        """Adds the ways to AWS that stay inside: gateways cost nothing and are always there."""
        for endpoint in SERVICE["gateway_endpoints"]:
            self.vpc.add_gateway_endpoint(
                endpoint.title(), service=ec2.GatewayVpcEndpointAwsService(endpoint)
            )
        if options.egress == "nat":
            return
        group = self._group("Endpoints", "Endpoints of AWS inside of the VPC")
        group.add_ingress_rule(ec2.Peer.ipv4(options.vpc_cidr), ec2.Port.tcp(443), "From the VPC")
        for endpoint in SERVICE["interface_endpoints"]:
            self.vpc.add_interface_endpoint(
                endpoint.title().replace(".", "").replace("-", ""),
                service=ec2.InterfaceVpcEndpointAwsService(endpoint),
                security_groups=[group],
                open=False,
            )

    def _group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, name, vpc=self.vpc, description=description, allow_all_outbound=False
        )

    def _connect(self, options: Options) -> None:
        port = ec2.Port.tcp(options.balancer_port)
        for network in options.clients or [options.vpc_cidr]:
            self.balancer.add_ingress_rule(ec2.Peer.ipv4(network), port, "Clients")
        _allow(self.balancer, self.tasks, SERVICE["port"], "Requests and health checks")
        _allow(self.tasks, self.redis, SERVICE["redis_port"], "Limits")
        _allow(self.tasks, self.executors, SERVICE["executor_port"], "Code of models")
        # Bedrock, DynamoDB, secrets, images, logs; and the documents that clients name by URL.
        for group in (self.tasks, self.machines):
            group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(443), "HTTPS")


def _allow(
    source: ec2.SecurityGroup, target: ec2.SecurityGroup, port: int, description: str
) -> None:
    target.add_ingress_rule(source, ec2.Port.tcp(port), description)
    source.add_egress_rule(target, ec2.Port.tcp(port), description)
