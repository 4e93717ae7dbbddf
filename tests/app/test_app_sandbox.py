"""Sandboxes out of settings: whose executors, and what stays unmade until it is needed."""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.app.sandbox import OnDemandSandbox, make_options, make_own_executor
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.base import SandboxUnavailableError


@pytest.fixture
def settings(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def load(**given):
        return load_settings(None, {name.upper(): value for name, value in given.items()})

    return load


OFF = {"enable_programmatic_tool_calling": "false", "enable_standalone_code_execution": "false"}


def health_of(sandbox):
    [route] = sandbox.health().routes()
    return json.loads(asyncio.run(route.methods["GET"](None)).body)


def test_an_executor_of_its_own_is_for_those_who_name_none(settings):
    own = make_own_executor(settings(ptc_memory_limit="128m", master_api_key="sk-secret"))
    try:
        assert own.address.path is not None
        assert not Path(own.address.path).exists()  # nothing runs before it is needed
        environ = own._environ
        assert environ["PTC_MEMORY_LIMIT"] == "128m"
        assert "MASTER_API_KEY" not in environ
    finally:
        own.release()
    assert make_own_executor(settings(sandbox_url="unix:///run/s.sock")) is None
    assert make_own_executor(settings(**OFF)) is None


def test_without_a_folder_for_its_socket_code_is_unavailable_and_the_proxy_serves(
    settings, monkeypatch, tmp_path, caplog
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    assert make_own_executor(settings()) is None
    assert "no executor of sandboxes can be started" in caplog.text
    sandbox = OnDemandSandbox(settings(), None)

    async def main():
        with pytest.raises(SandboxUnavailableError, match=r"does not run: .*set TMPDIR"):
            await sandbox.client().check()
        await sandbox.close()

    asyncio.run(main())


def test_who_asks_for_health_starts_no_executor(settings):
    own = make_own_executor(settings())
    sandbox = OnDemandSandbox(settings(), own)
    try:
        assert health_of(sandbox)["status"] == "idle"
        assert sandbox._client is None
    finally:
        own.release()


def test_clients_are_made_when_they_are_needed(settings):
    urls = "http://one:8600,unix:///run/two.sock"
    sandbox = OnDemandSandbox(settings(sandbox_url=urls, sandbox_token="t" * 32), None)
    asyncio.run(sandbox.close())
    client = sandbox.client()
    assert sandbox.client() is client
    marks = {ExecutorAddress.from_url(url).mark for url in urls.split(",")}
    made = {client.new_container()[10:14] for _ in range(100)}
    assert made == marks
    asyncio.run(sandbox.close())


def test_the_options_are_those_of_the_settings(settings):
    options = make_options(settings(ptc_execution_timeout="7", standalone_bash_timeout="8"))
    assert (options.python_seconds, options.bash_seconds) == (7.0, 8.0)
    assert options.programmatic
    assert options.standalone
    only = make_options(settings(enable_programmatic_tool_calling="false"))
    assert not only.programmatic


def test_health_tells_settings_and_no_secret(settings):
    sandbox = OnDemandSandbox(settings(**OFF, sandbox_token="t" * 32), None)
    assert not sandbox.enabled
    body = health_of(sandbox)
    assert body["status"] == "disabled"
    assert body["config"]["memory_limit"] == "256m"
    assert "t" * 32 not in json.dumps(body)
