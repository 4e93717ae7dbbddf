"""The time of log lines."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.telemetry.line_time import line_time


@pytest.mark.parametrize(
    ("epoch_ms", "told"),
    [
        (1_796_000_000_125, "2026-11-30T00:53:20.125Z"),
        (1_796_000_000_000, "2026-11-30T00:53:20.000Z"),
        (1_796_000_000_001, "2026-11-30T00:53:20.001Z"),
        (0, "1970-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_has_milliseconds(epoch_ms, told):
    assert line_time(epoch_ms) == told
