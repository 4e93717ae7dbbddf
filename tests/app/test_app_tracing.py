"""Traces as the settings describe them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from anthropic_bedrock_proxy.app.tracing import _endpoint, _sampling, make_tracing
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.telemetry.tracing.beginning import Sampling

MISSING = """
import sys
sys.modules["opentelemetry"] = None
from anthropic_bedrock_proxy.app.tracing import check_tracing
from anthropic_bedrock_proxy.config import load_settings
check_tracing(load_settings(environ={}, env_file=None))
try:
    check_tracing(load_settings(environ={"ENABLE_TRACING": "true"}, env_file=None))
except Exception as error:
    print(error)
"""


def settings(**environ):
    return load_settings(environ=environ, env_file=None)


def test_off_nothing_of_opentelemetry_is_imported():
    code = (
        "import sys; from anthropic_bedrock_proxy.app import build\n"
        "from anthropic_bedrock_proxy.app.tracing import make_tracing\n"
        "from anthropic_bedrock_proxy.config import load_settings\n"
        "assert make_tracing(load_settings(environ={}, env_file=None)) is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert make_tracing(settings()) is None


def test_without_the_packages_a_start_says_how_to_mend_it():
    done = subprocess.run(
        [sys.executable, "-c", MISSING], capture_output=True, text=True, check=True
    )
    assert "ENABLE_TRACING needs the extra `tracing`" in done.stdout


@pytest.mark.parametrize(
    ("environ", "sampling"),
    [
        ({}, Sampling(1.0)),
        ({"OTEL_TRACE_SAMPLING_RATIO": "0.25"}, Sampling(0.25)),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, Sampling(1.0, parent_based=False)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, Sampling(0.0)),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"},
            Sampling(0.5, parent_based=False),
        ),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
             "OTEL_TRACE_SAMPLING_RATIO": "0.1"},
            Sampling(0.1),
        ),
    ],
)  # fmt: skip
def test_samplers_have_the_usual_names(environ, sampling):
    assert _sampling(settings(**environ)) == sampling


@pytest.mark.parametrize(
    ("environ", "protocol", "endpoint"),
    [
        ({}, "http/protobuf", None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"}, "http/protobuf",
         "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, "grpc", "http://c:4317"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
          "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/x"}, "http/protobuf", "http://t/x"),
    ],
)  # fmt: skip
def test_the_endpoint_of_traces_wins_and_that_of_all_is_the_beginning_of_a_path(
    environ, protocol, endpoint
):
    assert _endpoint(settings(**environ), protocol) == endpoint
