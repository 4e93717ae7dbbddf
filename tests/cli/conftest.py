from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from simprocess import KEY_ID, SECRET, simulator

from anthropic_bedrock_proxy.cli.main import cli
from anthropic_bedrock_proxy.store.sqlite import SQLiteStore


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs one command on a store of its own; away from any .env and any AWS."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    def invoke(*words, url="sqlite:///s.db", typed=None, **environment):
        return CliRunner(env={"STORE_URL": url, **environment}).invoke(
            cli, [str(word) for word in words], input=typed
        )

    return invoke


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
