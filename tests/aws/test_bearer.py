"""When a Bedrock API key expires, as far as it says so."""

from __future__ import annotations

from base64 import b64encode

import pytest

from anthropic_bedrock_proxy.aws.bearer import expiry_of

REQUEST = (
    "bedrock.amazonaws.com/?Action=CallWithBearerToken&X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Date={date}&X-Amz-Expires={seconds}&X-Amz-SignedHeaders=host&Version=1"
)


def token(date="20261129T060000Z", seconds="43200"):
    request = REQUEST.format(date=date, seconds=seconds).encode()
    return "bedrock-api-key-" + b64encode(request).decode()


def test_a_short_term_key_says_when_it_expires():
    assert expiry_of(token()) == 1795975200  # 18:00 UTC


@pytest.mark.parametrize(
    "text",
    ["ABSKQmVkcm9jaw==", token(date="soon"), token(seconds="x"), "bedrock-api-key-%%%", "a-token"],
)
def test_what_says_nothing_is_not_known_to_expire(text):
    assert expiry_of(text) is None
