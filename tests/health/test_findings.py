"""What follows from what was found: who is ready, what anybody is told."""

from __future__ import annotations

import socket
import ssl

import pytest

from anthropic_bedrock_proxy.health.findings import (
    OK,
    ComponentState,
    Finding,
    Requirements,
    combined,
    connection_words,
)

FINE = ComponentState(state="ok", once_ok=True)
FAILED = ComponentState(state="failed", once_ok=True)
NEVER = ComponentState(state="failed")
IDLE = ComponentState(state="idle", reason="it starts later")
UNKNOWN = ComponentState(state="unknown")


@pytest.mark.parametrize(
    ("components", "missing", "status"),
    [
        ({"store": FINE, "upstream": FINE}, [], "healthy"),
        ({"store": FINE, "upstream": FAILED}, ["upstream"], "unhealthy"),
        ({"store": FAILED, "upstream": FINE}, [], "degraded"),
        ({"store": NEVER, "upstream": FINE}, ["store"], "unhealthy"),
        ({"limiter": FAILED, "executor": NEVER}, [], "degraded"),
        ({"upstream": ComponentState(state="degraded")}, [], "degraded"),
        ({"upstream": FINE, "executor": IDLE}, [], "healthy"),
        ({"upstream": IDLE}, [], "healthy"),
        ({"upstream": UNKNOWN, "limiter": UNKNOWN}, ["upstream"], "healthy"),
    ],
)
def test_what_is_required_decides(components, missing, status):
    requirements = Requirements()
    assert requirements.missing(components) == missing
    assert requirements.status(components) == status


def test_other_components_may_be_required():
    requirements = Requirements({"limiter"})
    assert requirements.missing({"limiter": FAILED, "upstream": FAILED}) == ["limiter"]


def test_several_of_a_kind_have_failed_when_all_have():
    failed = Finding(state="failed", reason="gone", detail="a")
    degraded = Finding(state="degraded", reason="slow", detail="b")
    unknown = Finding(state="unknown", reason="not asked")
    assert combined([OK, OK]) == OK
    assert combined([failed]) == failed
    assert combined([OK, failed]) == Finding(state="degraded", reason="1 of 2: gone", detail="a")
    assert combined([degraded, failed]).reason == "2 of 2: gone"
    assert combined([failed, failed]).state == "failed"
    assert combined([OK, unknown]) == unknown


def caused_by(cause):
    try:
        try:
            raise cause
        except type(cause) as error:
            raise RuntimeError("cannot connect to 10.0.0.7:443") from error
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ConnectionRefusedError(), "connection refused"),
        (OSError("Multiple exceptions: [Errno 111] ('::1'), [Errno 111]"), "connection refused"),
        (socket.gaierror(), "its name cannot be resolved"),
        (ssl.SSLCertVerificationError(), "its certificate is not trusted"),
        (ssl.SSLError(), "TLS failed"),
        (TimeoutError(), "no answer in time"),
        (ConnectionResetError(), "the connection was cut"),
        (OSError("No route to host"), "it cannot be reached"),
    ],
)
def test_failures_of_connections_are_told_in_general_words(cause, words):
    assert connection_words(caused_by(cause)) == words
