"""Without a key nothing of a body is asked for, or waited for."""

from __future__ import annotations

import asyncio

import pytest
from http_client import Client


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages/count_tokens"])
@pytest.mark.parametrize("key", [None, "sk-unknown"])
def test_who_has_no_key_is_refused_before_a_byte_of_the_body(make_proxy, path, key):
    headers = {"expect": "100-continue", "content-length": "1000"}
    client = Client(
        make_proxy().app,
        path=path,
        headers=headers | ({"x-api-key": key} if key else {}),
        body=[None],  # it never comes
    )
    seen = []
    client.on_chunk = lambda _: seen.append(client.connection.protocol.connection.reading)
    answer = asyncio.run(asyncio.wait_for(client.send(), 5))
    assert answer.status == 401
    assert len(seen) == 1  # no 100 before it
