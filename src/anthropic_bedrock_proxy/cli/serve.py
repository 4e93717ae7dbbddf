"""`serve`: read the settings, bind, say hello, serve.

The order matters: the socket is bound as soon as the settings are known, everything heavy is
imported afterwards.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import Settings, SettingsError, load_settings
from ..server import BindError, bind

if TYPE_CHECKING:
    from ..store.base import Store

_NO_CREDENTIALS = """\
No AWS credentials were found, so there is nothing to send requests to. Give the proxy one of:
  - AWS_BEARER_TOKEN_BEDROCK=…                       an Amazon Bedrock API key
  - AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…      (and AWS_SESSION_TOKEN for temporary keys)
  - AWS_PROFILE=name                                 a profile of ~/.aws/config
  - a role of the machine, container or pod it runs on
in the environment or in a file named .env, together with AWS_REGION.
To try the proxy without AWS: anthropic-bedrock-proxy serve --demo"""
_NO_AWS_IN_DEMOS = (
    "A demonstration does not reach AWS: set DYNAMODB_ENDPOINT_URL, or another STORE_URL."
)


@click.command()
@click.option("--host", help="Address to listen on (HOST, default 127.0.0.1).")
@click.option("--port", help="Port to listen on (PORT, default 8000; 0 picks one).")
@click.option("--workers", help="Processes (WORKERS, default 1).")
@click.option("--demo", is_flag=True, help="Use the built-in Bedrock simulator as upstream.")
@click.option("--demo-without-aws", is_flag=True, help="Like --demo, if no AWS credentials exist.")
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Settings in TOML, below the environment and .env.",
)
def command(
    host: str | None,
    port: str | None,
    workers: str | None,
    demo: bool,
    demo_without_aws: bool,
    config_file: Path | None,
) -> None:
    """Run the proxy."""
    given = {"HOST": host, "PORT": port, "WORKERS": workers}
    overrides = {name: value for name, value in given.items() if value is not None}
    try:
        settings = load_settings(config_file, overrides)
        listeners = bind(settings.server.host, settings.server.port, settings.server.workers)
    except (SettingsError, BindError) as error:
        raise click.ClickException(str(error)) from error
    sys.exit(_serve(settings, listeners, demo, demo_without_aws, config_file, overrides))


def _serve(
    settings: Settings,
    listeners: list,  # type: ignore[type-arg]  # of sockets; naming the type would import more
    demo: bool,
    demo_without_aws: bool,
    config_file: Path | None,
    overrides: dict[str, str],
) -> int:
    from .. import app, parts, server  # noqa: PLC0415  # after the bind
    from ..backends import make_store  # noqa: PLC0415
    from ..store.base import StoreError  # noqa: PLC0415
    from ..telemetry import logs  # noqa: PLC0415
    from .banner import banner  # noqa: PLC0415

    credentials = parts.describe_credentials(settings)
    if credentials is None and demo_without_aws:
        demo = True
    if credentials is None and not demo:
        raise click.ClickException(_NO_CREDENTIALS)
    if demo:
        if settings.store.url == "dynamodb://" and settings.aws.dynamodb_endpoint_url is None:
            raise click.ClickException(_NO_AWS_IN_DEMOS)
        settings = _with_demo_upstream(config_file, overrides)
    try:
        parts.check(settings)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    logs.configure(settings.server.log_level, settings.server.log_format)
    port = listeners[0].getsockname()[1]
    try:
        store = make_store(settings)
    except StoreError as error:
        raise click.ClickException(f"the store cannot be used: {error}") from error
    first_key, keyless = None, False
    try:
        if settings.auth.require_api_key:
            # To a person only: what a container prints is kept, and read by many.
            first_key, keyless = _first_key(settings, store, make=sys.stdout.isatty())
    except StoreError as error:
        # An outage of the store must not become one of the proxy: it serves when the store comes.
        click.echo(f"The store does not answer yet: {error}", err=True)
    upstream = "the built-in simulator (demo)" if demo else parts.bedrock_url(settings)
    server.hold_signals()
    shown = None if demo else credentials
    click.echo(banner(settings, port, upstream, shown, first_key=first_key, keyless=keyless))
    sys.stdout.flush()
    return server.run(settings, listeners, lambda: app.build(settings, store))


def _with_demo_upstream(config_file: Path | None, overrides: dict[str, str]) -> Settings:
    """Starts the simulator and points the settings at it."""
    from ..sim.options import SimulatorOptions  # noqa: PLC0415  # only for the demo
    from ..sim.server import serve_in_child  # noqa: PLC0415

    _, demo_port = serve_in_child(SimulatorOptions())
    return load_settings(
        config_file,
        {
            **overrides,
            "BEDROCK_ENDPOINT_URL": f"http://127.0.0.1:{demo_port}",
            "BEDROCK_MANTLE_ENDPOINT_URL": f"http://127.0.0.1:{demo_port}",
            "AWS_ACCESS_KEY_ID": "demo",
            "AWS_SECRET_ACCESS_KEY": "demo",
            "AWS_BEARER_TOKEN_BEDROCK": "",
            "AWS_SESSION_TOKEN": "",
            # Nothing of a demonstration may reach AWS.
            "BEDROCK_CONTROL_ENDPOINT_URL": f"http://127.0.0.1:{demo_port}",
            "PROVIDERS": "{}",
            "FAILOVER_CHAINS": "{}",
        },
    )


def _first_key(settings: Settings, store: Store, *, make: bool) -> tuple[str | None, bool]:
    """The secret of a key made now because the store had none; and whether it still has none.

    Raises `StoreError`.
    """
    import asyncio  # noqa: PLC0415  # after the bind

    async def look() -> tuple[str | None, bool]:
        await store.open()
        try:
            if await store.keys.list():
                return None, False
            return (await _make_key(settings, store), False) if make else (None, True)
        finally:
            await store.close()

    return asyncio.run(look())


async def _make_key(settings: Settings, store: Store) -> str:
    """As `keys create` makes one, which the audit log then tells."""
    from ..admin.scopes import LOCAL  # noqa: PLC0415  # once in the life of a store
    from ..admin.table import PREFIX  # noqa: PLC0415
    from ..administration import build_admin  # noqa: PLC0415
    from ..errors import ProxyError  # noqa: PLC0415
    from ..store.base import StoreError  # noqa: PLC0415

    body = b'{"name": "first key"}'
    try:
        api = build_admin(settings, store)
        _, made = await api.dispatch(LOCAL, "POST", f"{PREFIX}keys", {}, body)
    except ProxyError as error:
        raise StoreError(error.message) from error
    secret: str = made["key"]
    return secret
