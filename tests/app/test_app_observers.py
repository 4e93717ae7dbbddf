"""Who looks at requests that have ended, and where log lines go, as the settings describe it."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest

from anthropic_bedrock_proxy.app.logs import known_secrets, make_output
from anthropic_bedrock_proxy.app.observers import (
    make_access_log,
    make_content_observers,
    make_ended_requests,
    make_observers,
    make_request_log,
)
from anthropic_bedrock_proxy.config import SettingsError, load_settings
from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.telemetry.ended_requests import EndedRequests
from anthropic_bedrock_proxy.telemetry.log_file import LogFile
from anthropic_bedrock_proxy.telemetry.output import Output


def settings(**given):
    return load_settings(None, environ={"AWS_REGION": "us-east-1", **given}, env_file=None)


@pytest.mark.parametrize("given", [{}, {"ACCESS_LOG": "false"}, {"REQUEST_LOG": "false"}])
def test_requests_are_told_to_whoever_is_switched_on(given, tmp_path):
    configured = settings(STORE_URL=f"sqlite:///{tmp_path}/x.db", **given)
    logs = make_access_log(configured, Output()), make_request_log(configured)
    assert (logs[0] is None, logs[1] is None) == ("ACCESS_LOG" in given, "REQUEST_LOG" in given)
    assert len(make_ended_requests(configured, *logs, None).looks) == 1
    assert make_ended_requests(configured, None, None, None).looks == []


def test_lines_go_to_a_descriptor_or_to_a_file(tmp_path):
    assert make_output(settings())._fd == 2
    assert make_output(settings(LOG_OUTPUT="stdout"))._fd == 1
    assert isinstance(make_output(settings(LOG_OUTPUT=f"{tmp_path}/proxy.log")), LogFile)
    with pytest.raises(SettingsError, match=r"LOG_OUTPUT: .* cannot be written: No such file"):
        make_output(settings(LOG_OUTPUT=f"{tmp_path}/nowhere/proxy.log"))


def test_contents_are_shown_to_nobody_unless_keys_or_traces_are_named():
    assert make_content_observers(settings(), None) == []
    assert make_content_observers(settings(), SimpleNamespace(content=None)) == []
    traces = SimpleNamespace(content=object())
    log, other = make_content_observers(settings(LOG_CONTENT_KEYS="key_1, key_2"), traces)
    assert log.wants(Exchange("req_1", 0.0, 0, key_id="key_2"))
    assert other is traces.content


def test_the_master_key_is_hidden_in_contents_whatever_it_looks_like(caplog):
    given = {"LOG_CONTENT_KEYS": "*", "MASTER_API_KEY": "open sesame"}
    (log,) = make_content_observers(settings(**given), None)
    with caplog.at_level(logging.INFO):
        log.request(Exchange("req_1", 0.0, 0), b'{"text":"Say open sesame."}')
    assert [record.content for record in caplog.records] == ['{"text":"Say (hidden)."}']


def test_nobody_observes_requests_where_all_is_switched_off():
    assert make_observers(EndedRequests([]), None) == []
    ended, tracing = EndedRequests([lambda *_: None]), SimpleNamespace(observe=object())
    assert make_observers(ended, tracing) == [ended, tracing.observe]


def test_the_secrets_of_the_installation_are_known_to_whoever_tells_of_requests():
    given = {
        "MASTER_API_KEY": "correct-horse",
        "METRICS_TOKEN": "battery",
        "SANDBOX_TOKEN": "abc",  # too short: it would be hidden within other words
    }
    assert known_secrets(settings(**given)) == ("correct-horse", "battery")
    assert known_secrets(settings()) == ()
