"""The tables of the store, and Redis for limits: what outlives a change of the rest."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_elasticache as elasticache
from constructs import Construct
from excuses import excuse
from facts import PRODUCT, SERVICE
from network import NetworkStack
from options import Options


class DataStack(cdk.Stack):
    """What is kept. Tables stay when the stack is destroyed; counts of limits do not."""

    def __init__(
        self, scope: Construct, name: str, options: Options, network: NetworkStack
    ) -> None:
        super().__init__(scope, name, description="Data of the Anthropic Bedrock proxy")
        if options.create_tables:
            for kind, table in options.tables.items():
                self._add_table(kind, table)
        self.redis_url: str | None = None
        if options.limits == "redis":
            self.redis_url = self._make_redis(options, network)

    def _add_table(self, kind: str, name: str) -> None:
        described = PRODUCT["tables"][kind]
        table = dynamodb.Table(
            self,
            kind.title().replace("_", ""),
            table_name=name,
            partition_key=_attribute(described["hash_key"]),
            sort_key=_attribute(described["range_key"]) if described["range_key"] else None,
            time_to_live_attribute=described["ttl"],
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            deletion_protection=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
        )
        excuse(
            table,
            "CKV_AWS_119",
            "DynamoDB encrypts by its own key; secrets in it are hashed or sealed",
        )
        for index, attribute in described["indexes"].items():
            table.add_global_secondary_index(index_name=index, partition_key=_attribute(attribute))

    def _make_redis(self, options: Options, network: NetworkStack) -> str:
        """Adds Valkey, which speaks Redis and costs a fifth less; returns its URL."""
        subnets = elasticache.CfnSubnetGroup(
            self,
            "RedisSubnets",
            description="Private subnets",
            subnet_ids=network.vpc.select_subnets(subnet_group_name="tasks").subnet_ids,
        )
        group = elasticache.CfnReplicationGroup(
            self,
            "Redis",
            replication_group_description="Limits of the Anthropic Bedrock proxy",
            engine="valkey",
            engine_version="8.0",
            cache_node_type=options.redis_node_type,
            num_cache_clusters=2,
            automatic_failover_enabled=True,
            multi_az_enabled=True,
            transit_encryption_enabled=True,
            at_rest_encryption_enabled=True,
            cache_subnet_group_name=subnets.ref,
            security_group_ids=[network.redis.security_group_id],
        )
        excuse(group, "CKV_AWS_31", "it holds counts alone, and only tasks of the proxy reach it")
        port = SERVICE["redis_port"]
        return f"rediss://{group.attr_primary_end_point_address}:{port}/0"


def _attribute(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)
