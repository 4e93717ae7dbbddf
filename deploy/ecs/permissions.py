"""What tasks may do: the lists of ../aws, and what the options add to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct
from facts import document
from options import Options


def make_task_role(scope: Construct, name: str, options: Options) -> iam.Role:
    """Makes the role that the proxy itself has."""
    statements = document("policy.json", **_place(scope), **options.tables)
    if options.assume_roles:
        statements.append(_allow("UseOtherAccounts", "sts:AssumeRole", options.assume_roles))
    return _role(scope, name, statements)


def make_execution_role(
    scope: Construct, name: str, log_group: str, secrets: Iterable[str]
) -> iam.IRole:
    """Makes the role that starts a task: it pulls the image, reads secrets and writes the log."""
    statements = document("execution-policy.json", **_place(scope), log_group=log_group)
    # Of the ARN of an entry, arn:…:secret:NAME:KEY:STAGE:VERSION, the part that is the secret's.
    arns = sorted({":".join(arn.split(":")[:7]) for arn in secrets})
    kept = [arn for arn in arns if ":secretsmanager:" in arn]
    parameters = [arn for arn in arns if ":ssm:" in arn]
    if kept:
        statements.append(_allow("ReadSecrets", "secretsmanager:GetSecretValue", kept))
    if parameters:
        statements.append(_allow("ReadParameters", "ssm:GetParameters", parameters))
    # CDK would add the log once more.
    return _role(scope, name, statements).without_policy_updates()


def _place(scope: Construct) -> dict[str, str]:
    stack = cdk.Stack.of(scope)
    return {"partition": stack.partition, "region": stack.region, "account": stack.account}


def _allow(sid: str, action: str, resources: list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": [action], "Resource": resources}


def _role(scope: Construct, name: str, statements: list[dict[str, Any]]) -> iam.Role:
    policy = iam.PolicyDocument.from_json({"Version": "2012-10-17", "Statement": statements})
    return iam.Role(
        scope,
        name,
        assumed_by=iam.ServicePrincipal("ecs-tasks.amazonaws.com"),
        inline_policies={"policy": policy},
    )
