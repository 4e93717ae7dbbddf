"""Writes the Grafana dashboard of what panels.toml declares; run it after a change there.

A row fills lines of a grid 24 wide, from left to right; a panel that finds no room begins the next
line. All panels of a row are as high as each other, but for the numbers at its top.

    row of widths 4 4 4 4 4 4 8 8 8        y      x
    numbers (stat)                         1      0 4 8 12 16 20     4 high
    timeseries                             5      0 8 16             8 high

Source: Grafana's JSON model of dashboards, schema version 39 (Grafana 11).
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PANELS = HERE / "panels.toml"
DASHBOARD = HERE / "grafana" / "dashboards" / "proxy.json"
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
HEIGHTS = {"stat": 4}  # others: 8
SELECTORS = {
    "all": 'job=~"$job",instance=~"$instance"',
    "model": 'model=~"$model",provider=~"$provider"',
    "requested": 'model=~"$model"',
    "genai": 'gen_ai_request_model=~"$model"',
    "bedrock": 'model=~"$bedrock_model",provider=~"$provider"',
    "target": 'bedrock_model=~"$bedrock_model",provider=~"$provider"',
    "worker": 'worker=~"$worker"',
}
# Each is asked for within what was chosen before it. Jobs are those that have a metric of ours:
# names like http_requests_total are others' too.
VARIABLES = {
    "job": "label_values(bedrock_calls_total, job)",
    "instance": 'label_values(up{job=~"$job"}, instance)',
    "model": 'label_values(model_requests_total{job=~"$job"}, model)',
    "bedrock_model": 'label_values(bedrock_calls_total{job=~"$job"}, model)',
    "provider": 'label_values(bedrock_calls_total{job=~"$job"}, provider)',
    "worker": 'label_values(process_open_fds{job=~"$job"}, worker)',
}
LABELS = {"bedrock_model": "Bedrock's model"}


def full_query(query: str) -> str:
    """Returns a query with its selectors written out: `up{@all}` -> `up{job=~"$job",…}`."""
    return re.sub(r"@(\w+)", lambda found: SELECTORS[found[1]], query)


def make_dashboard(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Makes the dashboard of rows as panels.toml has them."""
    panels: list[dict[str, Any]] = []
    y = 0
    for row in rows:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": row["title"],
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
            }
        )
        x, y, line = 0, y + 1, 0
        for declared in row["panels"]:
            panel = _panel(len(panels) + 1, declared)
            width, height = panel["gridPos"]["w"], panel["gridPos"]["h"]
            if x + width > WIDTH:
                x, y, line = 0, y + line, 0
            panel["gridPos"] |= {"x": x, "y": y}
            x, line = x + width, max(line, height)
            panels.append(panel)
        y += line
    return {
        "uid": "anthropic-bedrock-proxy",
        "title": "anthropic-bedrock-proxy",
        "description": "What the proxy does, and why it hurts. Each panel says what to do.",
        "tags": ["anthropic", "bedrock"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,  # one crosshair for all panels
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "panels": panels,
    }


def _panel(number: int, declared: dict[str, Any]) -> dict[str, Any]:
    kind = declared.get("kind", "timeseries")
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    for value, colour in declared.get("thresholds", ()):
        if value == 0:  # the colour from 0 on stands in place of the green below all
            steps[0]["color"] = colour
        else:
            steps.append({"color": colour, "value": value})
    defaults: dict[str, Any] = {
        "unit": declared["unit"],
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if "max" in declared:
        defaults["max"] = declared["max"]
    if kind == "timeseries":
        defaults["custom"] = _drawing(declared)
    return {
        "id": number,
        "type": kind,
        "title": declared["title"],
        "description": declared["help"],
        "datasource": DATASOURCE,
        "gridPos": {"w": declared.get("width", 8), "h": HEIGHTS.get(kind, 8)},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(kind),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": full_query(query),
                "legendFormat": legend,
                "instant": kind in {"table", "bargauge"},
                "range": kind not in {"table", "bargauge"},
                "format": "table" if kind == "table" else "time_series",
            }
            for index, (legend, query) in enumerate(declared["queries"])
        ],
    }


def _drawing(declared: dict[str, Any]) -> dict[str, Any]:
    """Returns how lines are drawn: areas if they are stacked, the last threshold as a line."""
    stacked = declared.get("stack", False)
    return {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 30 if stacked else 0,
        "showPoints": "never",
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "dashed" if "thresholds" in declared else "off"},
    }


def _options(kind: str) -> dict[str, Any]:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if kind == "stat":
        return {"reduceOptions": last, "colorMode": "value", "graphMode": "area"}
    if kind == "bargauge":
        return {"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic"}
    if kind == "table":
        return {"showHeader": True}
    legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
    return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}


def _variables() -> list[dict[str, Any]]:
    datasource = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
    }
    return [
        datasource,
        *(
            {
                "name": name,
                "label": LABELS.get(name, name.capitalize()),
                "type": "query",
                "datasource": DATASOURCE,
                "query": {"query": query, "refId": name},
                "refresh": 2,  # with the time range
                "sort": 1,
                "multi": True,
                "includeAll": True,
                "allValue": ".*",
                "current": {"text": ["All"], "value": ["$__all"]},
            }
            for name, query in VARIABLES.items()
        ),
    ]


def rendered() -> str:
    """Returns the text of the dashboard's file."""
    rows = tomllib.loads(PANELS.read_text())["rows"]
    return json.dumps(make_dashboard(rows), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DASHBOARD.write_text(rendered())
