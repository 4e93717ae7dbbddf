"""`top`: figures from two scrapes, and the screen that they are drawn on."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from rich.console import Console

from anthropic_bedrock_proxy.cli.main import cli
from anthropic_bedrock_proxy.cli.top_figures import Scrape, figures
from anthropic_bedrock_proxy.cli.top_screen import screen

DURATION = "gen_ai_server_request_duration_seconds"


def scrape(at, *samples):
    return Scrape(
        at,
        [SimpleNamespace(name=name, labels=labels, value=value) for name, labels, value in samples],
    )


def requests(status, count):
    return "http_requests_total", {"status": status}, count


def test_rates_are_of_what_has_grown_between_two_scrapes():
    before = scrape(10.0, requests("200", 100), ("cost_usd_total", {"model": "m"}, 1.0))
    now = scrape(
        12.0,
        requests("200", 110),
        requests("429", 4),
        ("cost_usd_total", {"model": "m"}, 1.5),
        ("model_requests_total", {"model": "m"}, 6),
        ("token_usage_total", {"model": "m", "kind": "input"}, 30),
        ("token_usage_total", {"model": "m", "kind": "output"}, 10),
        ("http_requests_in_flight", {}, 4),
        ("workers", {}, 2),
    )
    shown = figures(before, now)
    assert shown.requests == 7.0
    assert shown.errors == {"429": 2.0}
    assert shown.models == {"m": {"requests": 3.0, "tokens": 20.0, "usd_per_hour": 900.0}}
    assert shown.tokens == {"input": 15.0, "output": 5.0}
    assert (shown.usd_per_hour, shown.usd_total) == (900.0, 1.5)
    assert (shown.in_flight, shown.workers) == (3.0, 2.0)


def test_who_watches_is_not_counted():
    def asked(endpoint, status, count):
        return (
            "http_requests_total",
            {"method": "GET", "endpoint": endpoint, "status": status},
            count,
        )

    before = scrape(0.0, asked("/metrics", "200", 1), asked("/v1/messages", "200", 1))
    now = scrape(1.0, asked("/metrics", "200", 2), asked("/v1/messages", "200", 4))
    assert figures(before, now).requests == 3.0
    assert figures(before, scrape(1.0, asked("/metrics", "401", 9))).errors == {}


def test_a_proxy_that_was_restarted_has_no_rates_below_nothing():
    shown = figures(scrape(1.0, requests("200", 100)), scrape(2.0, requests("200", 3)))
    assert shown.requests == 0.0


def bucket(bound, count):
    return f"{DURATION}_bucket", {"le": bound}, count


def test_quantiles_are_those_of_prometheus():
    before = scrape(0.0)
    now = scrape(1.0, bucket("0.1", 50), bucket("0.2", 90), bucket("0.4", 100), bucket("+Inf", 100))
    shown = figures(before, now)
    assert shown.latency_p50 == pytest.approx(0.1)
    assert shown.latency_p95 == pytest.approx(0.3)
    beyond = figures(before, scrape(1.0, bucket("0.1", 0), bucket("+Inf", 10)))
    assert beyond.latency_p99 == pytest.approx(0.1)
    assert figures(before, before).latency_p50 is None


def drawn(shown):
    console = Console(width=110, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    console.print(screen("http://proxy", shown))
    console.file.close()
    return console.export_text()


def test_the_screen_tells_of_rates_and_of_trouble():
    now = scrape(
        1.0,
        requests("200", 5),
        requests("529", 1),
        ("model_requests_total", {"model": "claude-x"}, 5),
        ("breaker_state", {"provider": "default", "bedrock_model": "us.claude-x"}, 2),
        ("breaker_state", {"provider": "west", "bedrock_model": "us.claude-x"}, 1),
        ("breaker_state", {"provider": "east", "bedrock_model": "us.claude-x"}, 0),
        ("usage_journal_records", {}, 12),
        bucket("0.25", 5),
        bucket("+Inf", 5),
    )
    text = drawn(figures(scrape(0.0), now).stale("it went away"))
    for words in (
        "6.00/s",
        "529: 1.00/s",
        "claude-x",
        "p50 125.0 ms",
        "left alone after failures: default us.claude-x",
        "tried again after failures: west us.claude-x",
        "has not got: 12",
        "it went away",
    ):
        assert words in text, words
    assert "none" in drawn(figures(scrape(0.0), scrape(1.0)))


@pytest.fixture
def stranger():
    """A server that answers `bytes` to whoever connects."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(answer):
            connection, _ = listening.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        with ThreadPoolExecutor() as threads:
            yield (
                f"http://127.0.0.1:{listening.getsockname()[1]}",
                lambda answer: threads.submit(serve, answer),
            )


OK = b"HTTP/1.0 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (OK + b"<html><body>hello {world</body></html>", "tells no metrics"),
        (OK + b"\xff\xfe", "tells no metrics"),
        (b"SSH-2.0-x\r\n", "cannot be read"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nworkers", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_what_is_no_proxy_or_breaks_off_is_an_error(stranger, answer, words):
    url, serve = stranger
    serve(answer)
    result = CliRunner().invoke(cli, ["top", "--json", "--url", url, "--token", "x"])
    assert (result.exit_code, words in result.stderr) == (1, True)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://[::", "tells no metrics"),
        ("http://127.0.0.1:9", "cannot be read"),
        ("file:///etc/passwd", "is no address"),
    ],
)
def test_a_proxy_that_is_not_there_is_an_error(url, words):
    result = CliRunner().invoke(cli, ["top", "--json", "--url", url])
    assert result.exit_code == 1
    assert words in result.stderr
