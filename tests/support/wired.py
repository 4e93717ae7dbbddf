"""The application as `serve` wires it, from settings, asked in memory."""

from __future__ import annotations

from contextlib import asynccontextmanager
from tempfile import TemporaryDirectory

from http_client import Client

from anthropic_bedrock_proxy.app.bedrock import make_resolver
from anthropic_bedrock_proxy.app.build import Inherited, build
from anthropic_bedrock_proxy.app.store import make_store
from anthropic_bedrock_proxy.config import load_settings
from anthropic_bedrock_proxy.telemetry.output import Output

MASTER = "sk-master"


@asynccontextmanager
async def wired(*, board=None, first=None, **environ):
    """Yields `send(method, path, body, key=...)`, which returns the `Answer`.

    `board` is what it counts in, `first` says whether it is the first worker.
    """
    with TemporaryDirectory() as folder:
        usual = {
            "MASTER_API_KEY": MASTER,
            "STORE_URL": "memory://",
            "JOURNAL_DIR": folder,
            "AWS_REGION": "us-east-1",
            "AWS_BEARER_TOKEN_BEDROCK": "token",
            "ACCESS_LOG": "false",
        }
        settings = load_settings(environ=usual | environ, env_file=None)
        resolver = make_resolver(settings)
        app = await build(
            settings,
            Inherited(
                store=make_store(settings, resolver),
                resolver=resolver,
                output=Output(),
                board=board,
                first=first,
            ),
        )

        async def send(method, path, body=b"", *, key=MASTER):
            return await Client(
                app.application, method, path, headers={"x-api-key": key}, body=body
            ).send()

        try:
            yield send
        finally:
            await app.close()
