from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from adminserver import MASTER, proxy
from click.testing import CliRunner
from simprocess import KEY_ID, SECRET, simulator

from anthropic_bedrock_proxy.cli.main import cli
from anthropic_bedrock_proxy.store.sqlite.store import SQLiteStore

COMMAND_ENVIRONMENT = ("PROVIDER_BEARER_TOKEN", "PROVIDER_SECRET_ACCESS_KEY")


async def make_store():
    """Makes the store s.db, as `serve` does."""
    store = SQLiteStore(Path("s.db"))
    await store.open()
    await store.close()


@pytest.fixture
def run(request, tmp_path, monkeypatch):
    """Runs one command on a store of its own; away from any .env and any AWS.

    As "remote" it asks a proxy over HTTP, which has the store; see `both`.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    asyncio.run(make_store())

    def local(*words, url="sqlite:///s.db", typed=None, **environment):
        return CliRunner(env={"STORE_URL": url, **environment}).invoke(
            cli, [str(word) for word in words], input=typed
        )

    def remote(*words, typed=None, **environment):
        settings = {"STORE_URL": "sqlite:///s.db", **environment}
        # What only the proxy may know is not told to the command.
        kept = {name: value for name, value in environment.items() if name in COMMAND_ENVIRONMENT}
        with proxy(settings) as address:
            return CliRunner(env={"ADMIN_API_KEY": MASTER, **kept}).invoke(
                cli, [*(str(word) for word in words), "--url", address], input=typed
            )

    return remote if getattr(request, "param", "local") == "remote" else local


@pytest.fixture
def document(run):
    """The one JSON document that a command prints."""

    def invoke(*words, **options):
        result = run(*words, "--json", **options)
        assert (result.exit_code, result.stderr) == (0, "")
        return json.loads(result.stdout)

    return invoke


@pytest.fixture
def catalog(run):
    """`catalog("providers")`: what the store of the test says when it is asked."""

    def read(method, *arguments):
        async def story():
            store = SQLiteStore(Path("s.db"))
            await store.open()
            try:
                return await getattr(store.catalog, method)(*arguments)
            finally:
                await store.close()

        return asyncio.run(story())

    return read


@pytest.fixture(scope="session")
def bedrock():
    """The environment in which the simulator is the Bedrock of the commands."""
    with simulator() as address:
        yield {
            "BEDROCK_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
        }
