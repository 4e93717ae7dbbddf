"""The dashboard and the alerts ask for what `/metrics` tells, in a language Prometheus speaks."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from programs import program
from promql import names_of

from anthropic_bedrock_proxy.aws_errors import AWS_ERRORS, OWN_REFUSALS
from anthropic_bedrock_proxy.errors import RateLimitError
from anthropic_bedrock_proxy.telemetry.metrics.board import Board
from anthropic_bedrock_proxy.telemetry.metrics.exposition import Exposition
from anthropic_bedrock_proxy.telemetry.metrics.families import FAMILIES

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
PROMETHEUS = MONITORING / "prometheus"
COMPOSE = ROOT / "deploy" / "compose" / "compose.yml"
DASHBOARD = json.loads((MONITORING / "grafana" / "dashboards" / "proxy.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
GROUPS = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
HOW_TO = (ROOT / "docs" / "how-to" / "monitoring.md").read_text()
JOB = "anthropic-bedrock-proxy"
OF_TARGETS = {"job", "instance"}  # labels that Prometheus gives
SHOWN = [target["expr"] for panel in PANELS for target in panel["targets"]]
VARIABLES = [one for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
ASKED = [*SHOWN, *(rule["expr"] for rule in ALERTS.values())]


def suffixed(family):
    """The names of a family's series, with the labels that they have."""
    labels = {*family.labels, *family.fixed, *([family.split] if family.split else ())}
    if family.type == "histogram":
        return {
            f"{family.name}_bucket": labels | {"le"},
            f"{family.name}_count": labels,
            f"{family.name}_sum": labels,
        }
    return {f"{family.name}_total" if family.type == "counter" else family.name: labels}


@pytest.fixture(scope="module")
def told():
    """The labels of each series of `/metrics`."""
    board = Board(1)
    board.take()
    text = Exposition(board).render("")[0].decode()
    known = {"up": set()}
    for family in FAMILIES:
        known |= suffixed(family)
    for name, labels in re.findall(r"^((?:process|build)_\w+)\{(.*)\}", text, re.MULTILINE):
        known[name] = set(re.findall(r'(\w+)="', labels))
    assert "process_open_fds" in known
    for family in FAMILIES:  # what is told is what the list says
        assert f"# TYPE {family.name}" in text
    return {name: labels | OF_TARGETS for name, labels in known.items()}


@pytest.mark.parametrize("query", ASKED)
def test_every_metric_and_label_of_a_query_is_one_that_the_proxy_tells(query, told):
    named = names_of(query)
    assert named.metrics
    assert named.metrics.keys() <= told.keys()
    for metric, labels in named.metrics.items():
        assert labels <= told[metric], metric
    for operand in re.split(r"\s(?:and|or|[/+])\s", query):
        named = names_of(operand)
        labels = [told[metric] for metric in named.metrics]
        assert not labels or named.grouped <= set.intersection(*labels), operand


@pytest.mark.parametrize(
    ("query", "metrics", "grouped"),
    [
        ("up", {"up": set()}, set()),
        ('sum by (a, b) (rate(x{l!~"y|{}",m="z"}[5m])) > 2', {"x": {"l", "m"}}, {"a", "b"}),
        ('topk(15, a{b="c"} / d) or vector(0)', {"a": {"b"}, "d": set()}, set()),
        (
            '0 < min by (o) (r{j=~"$job"}) < 1.5e9 and deriv(u[10m]) > 0',
            {"r": {"j"}, "u": set()},
            {"o"},
        ),
        ("sum(rate(a[$__rate_interval])) * 3600", {"a": set()}, set()),
    ],
)
def test_names_are_found_in_queries(query, metrics, grouped):
    named = names_of(query)
    assert (named.metrics, named.grouped) == (metrics, grouped)


def test_every_query_chooses_the_job_because_others_have_metrics_of_these_names():
    for query in SHOWN:
        for metric, labels in names_of(query).metrics.items():
            assert {"job", "instance"} <= labels, f"{metric} in {query}"
    for rule in ALERTS.values():
        assert rule["expr"].count(f'job="{JOB}"') == rule["expr"].count("{")
    jobs = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    assert JOB in [job["job_name"] for job in jobs]


def test_values_of_variables_are_those_of_labels_that_exist(told):
    for variable in VARIABLES:
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
        for metric, labels in names_of(asked[1]).metrics.items():
            assert labels | {asked[2]} <= told[metric]


def test_every_variable_of_a_query_is_one_of_the_dashboard():
    names = {one["name"] for one in DASHBOARD["templating"]["list"]}
    used = {name for query in SHOWN for name in re.findall(r"\$(\w+)", query)}
    assert used - {"__rate_interval", "__range"} == names - {"datasource"}


def test_prometheus_accepts_every_query_of_the_dashboard(tmp_path):
    rules = [
        {"record": f"query:{index}", "expr": query}
        for index, query in enumerate(
            query.replace("$__rate_interval", "5m").replace("$__range", "3h") for query in SHOWN
        )
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    checked = promtool("check", "rules", file)
    assert f"SUCCESS: {len(SHOWN)} rules found" in checked


def promtool(*arguments):
    done = subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_nothing_wrong_with_rules_and_configuration():
    assert f"{len(ALERTS)} rules found" in promtool("check", "rules", PROMETHEUS / "alerts.yml")
    promtool("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")


def test_every_alert_fires_when_it_should_and_is_silent_otherwise():
    promtool("test", "rules", PROMETHEUS / "alerts_test.yml")


def test_every_alert_has_a_test_of_both():
    tests = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    fired, silent = set(), set()
    for test in tests:
        for asked in test["promql_expr_test"]:
            labels = [sample["labels"] for sample in asked.get("exp_samples", ())]
            (fired if labels else silent).add(test["name"].partition(":")[0])
            assert all(f'"{test["name"].partition(":")[0]}"' in label for label in labels)
    assert fired == ALERTS.keys()
    assert fired <= silent


def test_every_alert_says_what_it_means_and_what_to_do():
    for name, rule in ALERTS.items():
        notes = rule["annotations"]
        assert notes.keys() == {"summary", "meaning", "look", "action", "runbook"}, name
        assert rule["labels"]["severity"] in {"page", "ticket"}
        page, _, anchor = notes["runbook"].partition("#")
        headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
        assert anchor in [heading.lower().replace(" ", "-") for heading in headings], name


def test_every_alert_is_in_the_how_to_with_its_time_and_severity():
    rows = re.findall(r"^\| `(Proxy\w+)` \| [^|]+ \| (\w+) \| (\w+) \|", HOW_TO, re.MULTILINE)
    rules = [(name, rule["for"], rule["labels"]["severity"]) for name, rule in ALERTS.items()]
    assert sorted(rows) == sorted(rules)


@pytest.mark.parametrize(
    ("alert", "fits"),
    [
        ("ProxyBedrockThrottling", lambda rule: rule.error is RateLimitError),
        ("ProxyBedrockCredentials", lambda rule: rule.credentials),
    ],
)
def test_an_alert_counts_the_codes_of_its_kind_and_no_others(alert, fits):
    codes = {**AWS_ERRORS, **OWN_REFUSALS}
    (pattern,) = set(re.findall(r'code=~"([^"]+)"', ALERTS[alert]["expr"]))
    counted = {code for code in codes if re.fullmatch(pattern, code)}
    assert counted == {code for code, rule in codes.items() if fits(rule)}


def test_the_dashboard_is_what_its_script_writes():
    script = runpy.run_path(str(MONITORING / "dashboard.py"))
    assert script["DASHBOARD"].read_text() == script["rendered"]()


def test_every_panel_has_an_id_a_place_and_words_of_its_own():
    all_panels = DASHBOARD["panels"]
    ids = [panel["id"] for panel in all_panels]
    assert len(set(ids)) == len(ids)
    for one, other in combinations([panel["gridPos"] for panel in all_panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in all_panels)
    for panel in PANELS:
        assert len(panel["description"]) > 10
        assert all(target["legendFormat"] for target in panel["targets"])
    assert len({panel["title"] for panel in all_panels}) == len(all_panels)


def test_legends_name_labels_that_their_queries_leave(told):
    for panel in PANELS:
        for target in panel["targets"]:
            named = names_of(target["expr"])
            left = named.grouped or set.union(*(told[metric] for metric in named.metrics))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= left


def test_every_panel_and_query_asks_the_chosen_data_source():
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for panel in PANELS:
        assert panel["datasource"] == chosen
        assert all(target["datasource"] == chosen for target in panel["targets"])
    assert all(variable["datasource"] == chosen for variable in VARIABLES)


def test_the_how_to_tells_of_every_row():
    for panel in DASHBOARD["panels"]:
        if panel["type"] == "row":
            assert f"| {panel['title']} |" in HOW_TO


def compose():
    return yaml.safe_load(COMPOSE.read_text())


def test_grafana_is_told_of_the_places_that_compose_mounts():
    grafana = compose()["services"]["grafana"]
    mounted = [volume.split(":")[1] for volume in grafana["volumes"]]
    provisioning = MONITORING / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "proxy.yml").read_text())[
        "providers"
    ]
    assert provider["options"]["path"] in mounted
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    assert source["url"].split("/")[2].split(":")[0] in compose()["services"]
