"""Writes docs/reference/metrics.md from the families; see COMMAND."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from anthropic_bedrock_proxy.telemetry.metrics.compat import COMPAT
from anthropic_bedrock_proxy.telemetry.metrics.families import FAMILIES

ROOT: Final = Path(__file__).parents[3]
COMMAND: Final = "PYTHONPATH=src python tests/telemetry/metrics/write_page.py"
PAGE: Final = "docs/reference/metrics.md"
_HEAD: Final = """\
# Metrics

<!-- Generated: edit telemetry/metrics/families.py, then run `{command}`. -->

`GET /metrics` tells the metrics of all workers of one `serve`, in Prometheus' text format or as
OpenMetrics, at most once a second anew; how to scrape it: [monitoring](../how-to/monitoring.md).

- Counters are exact: a request is counted once, and what a worker has counted stays when it ends
  or is killed. They begin anew with `serve`. A request is counted within 50 ms of the end of its
  answer, so `kill -9` of a worker leaves those of that time uncounted, 63 at most; their usage is
  recorded all the same.
- Gauges are of the last second, and have no series while no worker tells them; those of a worker
  that was killed last for 10 s more. The scrape itself is one of the requests in flight.
- A label is never an API key, a user, a session or a prompt. `key`, the id of a key, is there only
  with `METRICS_KEY_LABEL`. A model or path that clients have made up is `other` or `none`.
- One worker keeps 32,768 numbers: about 250 combinations of model, provider, dialect and error,
  beside all else. What finds no room is counted with `other` for every label: sums stay right.

Histograms have `_bucket`, `_sum` and `_count`. `process_*` are those of Prometheus' client
libraries, with the label `worker`: a number that the successor of one that crashed takes over.
`build_info` has the version.

| metric | type | labels | what |
|---|---|---|---|
"""
_COMPAT: Final = """
## Names of older dashboards

`METRICS_COMPAT=otel_1_41,litellm,predecessor` (any of these) adds the names that dashboards for
other proxies have. Where such a metric had more than is measured here (the sizes of token counts,
keys as labels), it comes without.

| with | metric | type | labels | what |
|---|---|---|---|---|
"""


def page() -> str:
    """Returns the whole page."""
    rows = [f"| {_cells(family)} |" for family in FAMILIES]
    compat = [f"| `{name}` | {_cells(one)} |" for name, group in COMPAT.items() for one in group]
    return (
        _HEAD.format(command=COMMAND) + "\n".join(rows) + "\n" + _COMPAT + "\n".join(compat) + "\n"
    )


def _cells(family) -> str:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = [*family.labels, *family.fixed, *([family.split] if family.split else ())]
    shown = ", ".join(f"`{label}`" for label in labels) or "-"
    return f"`{name}` | {family.type} | {shown} | {family.help}"


if __name__ == "__main__":
    (ROOT / PAGE).write_text(page())
