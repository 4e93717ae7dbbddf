"""Redis as `doctor` finds it."""

from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.diagnosis.redis import check_redis


@pytest.mark.parametrize("url", ["redis://:hush@127.0.0.1:1", "redis+sentinel://:hush@nowhere"])
def test_what_cannot_be_used_is_told_without_its_password(url):
    line = asyncio.run(check_redis(url))
    assert line.state == "fail"
    assert "hush" not in line.found + line.mend
