from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.telemetry.metrics.labels import label


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (200, "200"),
        ("us.anthropic.m", "us.anthropic.m"),
        ("123456789012", "123456789012"),  # a name of the operator's
        ("arn:aws:bedrock:us-east-1:123456789012:x/y", "arn:aws:bedrock:us-east-1:(account):x/y"),
    ],
)
def test_a_label_is_the_text_of_what_it_names_without_accounts(value, text):
    assert label(value) == text
