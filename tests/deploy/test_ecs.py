"""The CDK app synthesises what the product needs, locked down; what cannot work, it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from deployments import (
    BAD,
    DEFAULTS,
    ECS,
    ENDPOINTS,
    EVERYTHING,
    FLAGS,
    LEAST,
    ROOT,
    TERRAFORM,
    check,
    fact,
    tools,
)
from programs import program

from anthropic_bedrock_proxy.store.dynamodb.schema import NEEDED, SHAPES, creation
from anthropic_bedrock_proxy.store.dynamodb.tables import TableNames

SETS = {"least": LEAST, "again": LEAST, "endpoints": ENDPOINTS, "everything": EVERYTHING}
SERVICE = fact("service.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of all templates, those of a set of options below its name."""
    python = tools() / "python"
    program("node")
    made = tmp_path_factory.mktemp("cdk")
    contexts = {str(made / name): {**DEFAULTS, **FLAGS, **SETS[name]} for name in SETS}
    subprocess.run(
        [python, ROOT / "tests" / "support" / "synthesize.py"],
        input=json.dumps(contexts),
        text=True,
        check=True,
    )
    return made


@pytest.fixture(scope="module")
def stacks(folder):
    """Reads the templates of a set of options, by the end of the stack's name."""

    def read(name):
        paths = (folder / name).glob("*.template.json")
        return {
            path.name.split(".")[0].rpartition("-")[2]: json.loads(path.read_text())
            for path in paths
        }

    return read


def of_kind(template, kind):
    found = template["Resources"].values()
    return [one["Properties"] for one in found if one["Type"] == f"AWS::{kind}"]


def only(template, kind):
    (found,) = of_kind(template, kind)
    return found


def container(template):
    (found,) = only(template, "ECS::TaskDefinition")["ContainerDefinitions"]
    return found


def test_the_same_options_make_the_same_templates(stacks):
    assert stacks("least") == stacks("again")
    assert set(stacks("least")) == {"network", "data", "service"}
    assert set(stacks("everything")) == {"network", "data", "service", "executors"}


def test_cfn_lint_finds_nothing(folder):
    templates = [
        str(path) for path in folder.glob("*/*.template.json") if path.parent.name != "again"
    ]
    assert len(templates) == 3 + 2 + 4
    done = subprocess.run(
        [tools() / "cfn-lint", *templates], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_checkov_finds_nothing(folder):
    assert check(folder / "everything", "cloudformation") == []


def test_nothing_is_open_by_default(stacks):
    made = stacks("least")
    assert only(made["service"], "ElasticLoadBalancingV2::LoadBalancer")["Scheme"] == "internal"
    assert only(made["service"], "ElasticLoadBalancingV2::Listener")["Port"] == 80
    groups = of_kind(made["network"], "EC2::SecurityGroup")
    entries = [entry for group in groups for entry in group.get("SecurityGroupIngress", [])]
    assert [entry["CidrIp"] for entry in entries] == [DEFAULTS["vpc_cidr"]]
    assert "Secrets" not in container(made["service"])
    assert environ_of(made["service"])["ENABLE_METRICS"] == "false"


def environ_of(template):
    return {one["Name"]: one["Value"] for one in container(template)["Environment"]}


def test_a_public_balancer_speaks_https_to_the_networks_that_are_named(stacks):
    made = stacks("everything")
    listener = only(made["service"], "ElasticLoadBalancingV2::Listener")
    assert (listener["Port"], listener["Protocol"]) == (443, "HTTPS")
    assert listener["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    groups = of_kind(made["network"], "EC2::SecurityGroup")
    entries = [entry for group in groups for entry in group.get("SecurityGroupIngress", [])]
    assert [(entry["CidrIp"], entry["FromPort"]) for entry in entries] == [("203.0.113.0/24", 443)]


@pytest.mark.parametrize("name", ["least", "everything"])
def test_the_balancer_shows_no_metrics_and_checks_the_health(stacks, name):
    service = stacks(name)["service"]
    rule = only(service, "ElasticLoadBalancingV2::ListenerRule")
    assert rule["Conditions"][0]["PathPatternConfig"]["Values"] == SERVICE["closed_paths"]
    assert rule["Actions"][0]["Type"] == "fixed-response"
    targets = only(service, "ElasticLoadBalancingV2::TargetGroup")
    assert targets["HealthCheckPath"] == SERVICE["health"]["path"]
    assert targets["UnhealthyThresholdCount"] == SERVICE["health"]["unhealthy"]
    attributes = {one["Key"]: one["Value"] for one in targets["TargetGroupAttributes"]}
    delay = str(SERVICE["deregistration_seconds"])
    assert attributes["deregistration_delay.timeout_seconds"] == delay
    balancer = only(service, "ElasticLoadBalancingV2::LoadBalancer")["LoadBalancerAttributes"]
    idle = {"Key": "idle_timeout.timeout_seconds", "Value": str(SERVICE["balancer_idle_seconds"])}
    assert idle in balancer


@pytest.mark.parametrize("name", ["least", "everything"])
def test_only_networks_of_the_balancer_say_where_a_request_comes_from(stacks, name):
    """A client in another network of the VPC is none of our proxies, whatever it claims."""
    made = stacks(name)
    subnets = {
        logical: one["Properties"]["CidrBlock"]
        for logical, one in made["network"]["Resources"].items()
        if one["Type"] == "AWS::EC2::Subnet"
    }
    balancer = only(made["service"], "ElasticLoadBalancingV2::LoadBalancer")
    trusted = {
        cidr for logical, cidr in subnets.items() if logical in json.dumps(balancer["Subnets"])
    }
    assert set(environ_of(made["service"])["TRUSTED_PROXIES"].split(",")) == trusted
    assert len(trusted) == {**DEFAULTS, **SETS[name]}["zones"]


@pytest.mark.parametrize("stack", ["service", "executors"])
def test_containers_are_locked_down(stacks, stack):
    one = container(stacks("everything")[stack])
    assert one["ReadonlyRootFilesystem"] is True
    assert one["User"] == SERVICE["user"]
    assert one["LinuxParameters"] == {"Capabilities": {"Drop": ["ALL"]}}
    assert one["StopTimeout"] == SERVICE["stop_seconds"]
    assert not one.get("Privileged")


def test_only_the_executor_has_the_docker_socket(stacks):
    made = stacks("everything")
    assert "docker.sock" not in json.dumps({**made, "executors": None})
    task = only(made["executors"], "ECS::TaskDefinition")
    assert "/var/run/docker.sock" in json.dumps(task["Volumes"])
    assert [one["Name"] for one in container(made["executors"])["Secrets"]] == ["SANDBOX_TOKEN"]
    role = made["executors"]["Resources"][task["TaskRoleArn"]["Fn::GetAtt"][0]]["Properties"]
    assert not {"Policies", "ManagedPolicyArns"} & role.keys(), "it may do nothing at AWS"


def test_metadata_of_machines_is_out_of_reach_for_containers(stacks):
    templates = of_kind(stacks("everything")["executors"], "EC2::LaunchTemplate")
    assert len(templates) == EVERYTHING["executors"]
    for template in templates:
        options = template["LaunchTemplateData"]["MetadataOptions"]
        assert options == {"HttpPutResponseHopLimit": 1, "HttpTokens": "required"}


def test_executors_reach_nothing_and_only_tasks_reach_them(stacks):
    network = stacks("everything")["network"]
    ids = {
        one["Properties"]["GroupDescription"].split(":")[0]: name
        for name, one in network["Resources"].items()
        if one["Type"] == "AWS::EC2::SecurityGroup"
    }
    executors = {"Fn::GetAtt": [ids["Executors of sandboxes"], "GroupId"]}
    entries = [
        one for one in of_kind(network, "EC2::SecurityGroupIngress") if one["GroupId"] == executors
    ]
    source = {"Fn::GetAtt": [ids["Tasks of the proxy"], "GroupId"]}
    assert [(one["SourceSecurityGroupId"], one["FromPort"]) for one in entries] == [
        (source, SERVICE["executor_port"])
    ]
    group = network["Resources"][ids["Executors of sandboxes"]]["Properties"]
    assert [one["CidrIp"] for one in group["SecurityGroupEgress"]] == ["255.255.255.255/32"]  # none


def test_each_executor_has_the_address_that_proxies_know(stacks):
    made = stacks("everything")
    names = [one["Name"] for one in of_kind(made["executors"], "ServiceDiscovery::Service")]
    zone = only(made["executors"], "ServiceDiscovery::PrivateDnsNamespace")["Name"]
    port = SERVICE["executor_port"]
    urls = ",".join(f"http://{name}.{zone}:{port}" for name in names)
    assert environ_of(made["service"])["SANDBOX_URL"] == urls
    assert container(made["executors"])["Command"][-1].endswith(f":{port}")


def test_tables_are_those_that_the_product_makes(stacks):
    made = {one["TableName"]: one for one in of_kind(stacks("least")["data"], "DynamoDB::Table")}
    assert set(made) == {getattr(TableNames(), kind) for kind in NEEDED}
    for kind in NEEDED:
        wanted = creation(getattr(TableNames(), kind), SHAPES[kind])
        table = made[wanted["TableName"]]
        for field in ("KeySchema", "BillingMode", "GlobalSecondaryIndexes"):
            assert table.get(field) == wanted.get(field), kind
        attributes = {one["AttributeName"] for one in table["AttributeDefinitions"]}
        assert attributes == {one["AttributeName"] for one in wanted["AttributeDefinitions"]}
        ttl = table.get("TimeToLiveSpecification", {}).get("AttributeName")
        assert ttl == SHAPES[kind].ttl
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert table["DeletionProtectionEnabled"] is True


def test_tables_that_are_there_stay_as_they_are(stacks):
    assert set(stacks("endpoints")) == {"network", "service"}  # CloudFormation takes no empty one
    assert environ_of(stacks("endpoints")["service"])["LIMITS_URL"] == "memory://"


def test_without_a_nat_gateway_nothing_leads_out(stacks):
    network = stacks("endpoints")["network"]
    assert of_kind(network, "EC2::Route") == []
    assert of_kind(network, "EC2::NatGateway") == []
    endpoints = of_kind(network, "EC2::VPCEndpoint")
    kinds = [one["VpcEndpointType"] for one in endpoints]
    assert kinds.count("Interface") == len(SERVICE["interface_endpoints"])
    assert kinds.count("Gateway") == len(SERVICE["gateway_endpoints"])


def test_a_task_has_a_worker_for_each_processor(stacks):
    assert environ_of(stacks("least")["service"])["WORKERS"] == "1"
    assert environ_of(stacks("everything")["service"])["WORKERS"] == "2"


def test_secrets_are_named_and_may_be_read_by_what_starts_the_task_alone(stacks):
    service = stacks("everything")["service"]
    given = {one["Name"]: one["ValueFrom"] for one in container(service)["Secrets"]}
    assert given == EVERYTHING["secrets"]
    (reader,) = [
        role for role in of_kind(service, "IAM::Role") if "GetSecretValue" in json.dumps(role)
    ]
    statements = reader["Policies"][0]["PolicyDocument"]["Statement"]
    allowed = {one["Sid"]: one["Resource"] for one in statements if one["Sid"].startswith("Read")}
    secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret"
    assert allowed == {
        "ReadSecrets": [f"{secret}:metrics-AbCdEf", f"{secret}:sandbox-AbCdEf"],
        "ReadParameters": EVERYTHING["secrets"]["MASTER_API_KEY"],
    }


def test_alarms_are_those_of_the_list_and_go_to_the_topic(stacks):
    made = of_kind(stacks("everything")["service"], "CloudWatch::Alarm")
    wanted = fact("alarms.json", min_tasks=DEFAULTS["min_tasks"])
    assert {one["AlarmName"] for one in made} == {f"claude-proxy-{one['name']}" for one in wanted}
    for one in made:
        assert one["AlarmActions"] == [EVERYTHING["alarm_topic_arn"]]
    for one in of_kind(stacks("least")["service"], "CloudWatch::Alarm"):
        assert "AlarmActions" not in one


# What CDK and Terraform call the same.
SAME = {
    "ApplicationAutoScaling::ScalableTarget": "appautoscaling_target",
    "ApplicationAutoScaling::ScalingPolicy": "appautoscaling_policy",
    "AutoScaling::AutoScalingGroup": "autoscaling_group",
    "CloudWatch::Alarm": "cloudwatch_metric_alarm",
    "DynamoDB::Table": "dynamodb_table",
    "EC2::EIP": "eip",
    "EC2::InternetGateway": "internet_gateway",
    "EC2::LaunchTemplate": "launch_template",
    "EC2::NatGateway": "nat_gateway",
    "EC2::Route": "route",
    "EC2::RouteTable": "route_table",
    "EC2::SecurityGroup": "security_group",
    "EC2::SecurityGroupEgress": "vpc_security_group_egress_rule",
    "EC2::SecurityGroupIngress": "vpc_security_group_ingress_rule",
    "EC2::Subnet": "subnet",
    "EC2::SubnetRouteTableAssociation": "route_table_association",
    "EC2::VPC": "vpc",
    "EC2::VPCEndpoint": "vpc_endpoint",
    "ECS::Cluster": "ecs_cluster",
    "ECS::Service": "ecs_service",
    "ECS::TaskDefinition": "ecs_task_definition",
    "ElastiCache::ReplicationGroup": "elasticache_replication_group",
    "ElastiCache::SubnetGroup": "elasticache_subnet_group",
    "ElasticLoadBalancingV2::Listener": "lb_listener",
    "ElasticLoadBalancingV2::ListenerRule": "lb_listener_rule",
    "ElasticLoadBalancingV2::LoadBalancer": "lb",
    "ElasticLoadBalancingV2::TargetGroup": "lb_target_group",
    "IAM::InstanceProfile": "iam_instance_profile",
    "IAM::Role": "iam_role",
    "Logs::LogGroup": "cloudwatch_log_group",
    "ServiceDiscovery::PrivateDnsNamespace": "service_discovery_private_dns_namespace",
    "ServiceDiscovery::Service": "service_discovery_service",
}
IN_ANOTHER = {"EC2::VPCGatewayAttachment"}  # Terraform: in the gateway
# CDK: in the role, and nothing, because CloudFormation's default group is not to be had.
IN_OTHERS = {"iam_role_policy", "iam_role_policy_attachment", "default_security_group"}


def test_terraform_makes_the_same_kinds_of_things(stacks):
    templates = [*stacks("everything").values(), *stacks("endpoints").values()]
    kinds = {
        one["Type"].removeprefix("AWS::") for t in templates for one in t["Resources"].values()
    }
    assert kinds == {*SAME, *IN_ANOTHER}
    written = "".join(path.read_text() for path in TERRAFORM.glob("*.tf"))
    made = set(re.findall(r'^resource "aws_(\w+)"', written, re.MULTILINE))
    assert made == {*SAME.values(), *IN_OTHERS}


@pytest.fixture
def options(monkeypatch):
    """The module of the options, which needs no CDK."""
    monkeypatch.syspath_prepend(ECS)
    import options  # noqa: PLC0415  # no package

    yield options
    for name in ("options", "facts"):
        del sys.modules[name]


@pytest.mark.parametrize(("refusal", "given"), BAD, ids=[refusal for refusal, _ in BAD])
def test_what_cannot_work_is_refused(options, refusal, given):
    with pytest.raises(options.BadOptionError) as told:
        options.Options.read({**DEFAULTS, **LEAST, **given}.get)
    assert str(told.value) == fact("refusals.json")[refusal]


def test_every_refusal_is_tried():
    assert {refusal for refusal, _ in BAD} == set(fact("refusals.json"))


@pytest.mark.parametrize("given", SETS.values(), ids=SETS)
def test_what_works_is_taken(options, given):
    assert options.Options.read({**DEFAULTS, **given}.get).image == given["image"]


def test_options_may_be_texts_as_the_command_line_gives_them(options):
    texts = {"zones": "3", "public": "false", "clients": '["203.0.113.0/24"]'}
    read = options.Options.read({**DEFAULTS, **LEAST, **texts}.get)
    assert (read.zones, read.public, read.clients) == (3, False, ["203.0.113.0/24"])
    for name, texts in (("settings", '{"LOG_LEVEL": 5}'), ("clients", "[5]")):
        with pytest.raises(options.BadOptionError, match=name):
            options.Options.read({**DEFAULTS, **LEAST, name: texts}.get)
    for text in ("three", '"3"'):
        with pytest.raises(options.BadOptionError, match="zones"):
            options.Options.read({**DEFAULTS, **LEAST, "zones": text}.get)
