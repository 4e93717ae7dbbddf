"""A real Prometheus scrapes four workers under load, and has what the clients have counted."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import urllib.request
from collections import Counter
from urllib.parse import urlencode

import pytest
from parts import program
from ports import free_port
from servers import wait_for
from streaming import REFUSALS, post
from test_bad_days import children

REQUESTS = int(os.environ.get("PROMETHEUS_REQUESTS", "800"))
CLIENTS = 16
TOKEN = "token-of-the-metrics"
USAGE = {
    "input_tokens": 100,
    "output_tokens": 40,
    "cache_read_input_tokens": 7,
    "cache_creation_5m_input_tokens": 3,
}
SCRIPT = [
    *REFUSALS,
    {
        "reply": {"content": [{"type": "text", "text": "Well. " * 8}], "usage": USAGE},
        "times": "forever",
    },
]
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: proxy
    authorization: {{credentials: {token}}}
    static_configs: [{{targets: ["{target}"]}}]
"""


class Prometheus:
    """A server that scrapes one proxy."""

    def __init__(self, folder, proxy):
        port = free_port()
        config = folder / "prometheus.yml"
        target = proxy.url.removeprefix("http://")
        config.write_text(CONFIG.format(token=TOKEN, target=target))
        self._url = f"http://127.0.0.1:{port}/api/v1/query?"
        with (folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )

    def query(self, query):
        """Returns the value of each label set, by that of its labels in their order."""
        try:
            with urllib.request.urlopen(self._url + urlencode({"query": query})) as answer:
                found = json.load(answer)["data"]["result"]
        except OSError:
            return {}
        return {
            tuple(one["metric"][name] for name in sorted(one["metric"])): float(one["value"][1])
            for one in found
        }

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture
def proxy(sim, start):
    sim.script(SCRIPT)
    return start(WORKERS="4", UPSTREAM_MAX_ATTEMPTS="1", METRICS_TOKEN=TOKEN)


@pytest.fixture
def prometheus(proxy, tmp_path):
    server = Prometheus(tmp_path, proxy)
    wait_for(lambda: server.query("sum(workers)") == {(): 4.0}, "it scrapes", 20)
    yield server
    server.stop()


async def load(proxy, key, requests, seen):
    """Sends requests of all kinds; `seen` counts them by status, and what was read to the end."""
    chance = random.Random(7)

    async def client():
        while requests[0] > 0:
            requests[0] -= 1
            kind = chance.choice(("fine", "fine", "fine", "throttled", "refused", "nobody"))
            stream = chance.random() < 0.5
            secret = "sk-nobody" if kind == "nobody" else key
            read = await post(proxy.url, secret, stream=stream, text=kind)
            assert read.complete
            seen[str(read.status)] += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))


def test_counters_are_what_the_clients_have_counted(proxy, prometheus):
    seen = Counter()
    asyncio.run(load(proxy, proxy.key, [REQUESTS // 2], seen))
    total = 'sum(http_requests_total{endpoint="/v1/messages"})'
    wait_for(lambda: prometheus.query(total) == {(): REQUESTS // 2}, "all are counted", 20)
    os.kill(children(proxy.process.pid)[0], signal.SIGKILL)  # what it has counted stays
    wait_for(lambda: prometheus.query("sum(workers)") == {(): 4.0}, "four again", 20)
    asyncio.run(load(proxy, proxy.key, [REQUESTS // 2], seen))
    assert sum(seen.values()) == REQUESTS

    def statuses():
        by_status = 'sum by (status) (http_requests_total{endpoint="/v1/messages"})'
        return {status: value for (status,), value in prometheus.query(by_status).items()}

    expected = {status: float(count) for status, count in seen.items()}
    told = wait_for(lambda: (now := statuses()) == expected and now, f"{expected}", 10)
    fine = seen["200"]
    tokens = prometheus.query("sum by (kind) (token_usage_total)")
    assert tokens == {
        ("input",): 100.0 * fine,
        ("output",): 40.0 * fine,
        ("cache_read",): 7.0 * fine,
        ("cache_write",): 3.0 * fine,
    }
    counted = {
        query: sum(prometheus.query(query).values())
        for query in (
            "sum(auth_failures_total)",
            'sum(bedrock_calls_total{code="ok"})',
            'sum(bedrock_calls_total{code="ThrottlingException"})',
            'sum(gen_ai_server_request_duration_seconds_count{error_type=""})',
        )
    }
    assert list(counted.values()) == [seen["401"], fine, seen["429"], fine]
    in_flight = "sum(http_requests_in_flight)"  # workers tell it once a second
    wait_for(lambda: prometheus.query(in_flight) == {(): 1.0}, "the scrape alone is in flight", 20)
    print(f"{REQUESTS} requests, 4 workers and one killed: {told}, tokens {tokens}")


def test_promtool_finds_nothing_to_say(proxy):
    asyncio.run(load(proxy, proxy.key, [20], Counter()))
    request = urllib.request.Request(
        f"{proxy.url}/metrics", headers={"authorization": f"Bearer {TOKEN}"}
    )
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    checked = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
