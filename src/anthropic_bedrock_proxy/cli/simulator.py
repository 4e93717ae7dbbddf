"""`bedrock-sim`: run the Bedrock simulator in the foreground."""

from __future__ import annotations

from pathlib import Path

import click

from .terminal import say


@click.command("bedrock-sim")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8099, show_default=True, help="Port; 0 takes a free one.")
@click.option("--access-key-id", help="Accept requests signed with this key pair.")
@click.option("--secret-access-key", help="The secret of that key pair.")
@click.option("--bearer-token", "bearer_tokens", multiple=True, help="Accept this Bedrock API key.")
@click.option(
    "--script",
    "script_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file of steps to answer with.",
)
@click.option("--log", "log_file", help="Append one JSON line per request to this file.")
@click.option("--region", default="us-east-1", show_default=True, help="Region in listed ARNs.")
@click.option("--event-delay-ms", default=0.0, help="Pause between the events of a stream.")
@click.option(
    "--control", is_flag=True, help="Serve the control API although the address is not loopback."
)
def command(
    *,
    host: str,
    port: int,
    access_key_id: str | None,
    secret_access_key: str | None,
    bearer_tokens: tuple[str, ...],
    script_file: Path | None,
    log_file: str | None,
    region: str,
    event_delay_ms: float,
    control: bool,
) -> None:
    """Run a simulated Amazon Bedrock for tests and demos.

    Without a key pair and without a bearer token every caller is let in.
    """
    import msgspec  # noqa: PLC0415  # not needed for --help

    from ..sim.options import Credential, SimulatorOptions  # noqa: PLC0415
    from ..sim.script import Step, parse_steps  # noqa: PLC0415
    from ..sim.server import options_for, run  # noqa: PLC0415

    if (access_key_id is None) != (secret_access_key is None):
        raise click.UsageError("--access-key-id and --secret-access-key belong together")
    credentials: tuple[Credential, ...] = ()
    if access_key_id is not None and secret_access_key is not None:
        credentials = (
            Credential(access_key_id=access_key_id, secret_access_key=secret_access_key),
        )
    steps: list[Step] = []
    if script_file is not None:
        try:
            steps = parse_steps(script_file.read_bytes())
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise click.BadParameter(str(error), param_hint="--script") from error
    options = SimulatorOptions(
        credentials=credentials,
        bearer_tokens=bearer_tokens,
        script=tuple(steps),
        region=region,
        event_delay_seconds=event_delay_ms / 1000,
        log_file=log_file,
    )
    options = options_for(host, options, control=control)
    note = "control API under /_sim/" if options.control else "no control API"

    def announce(address: str) -> None:
        say(f"Bedrock simulator on {address} ({note})")

    try:
        run(host, port, options, announce=announce)
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error}") from error
