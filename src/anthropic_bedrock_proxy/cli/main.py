"""The root command. Subcommands are imported when they run, so that `serve` starts fast."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from .. import __version__
from .terminal import printable_lines

COMMANDS = {
    "serve": ("serve", "Run the proxy."),
    "keys": ("keys", "Create, list and change API keys."),
    "users": ("users", "What the keys of a user may use together."),
    "teams": ("teams", "What the keys of a team may use together."),
    "usage": ("usage", "Token sums per key, model or day, and exports."),
    "budgets": ("budgets", "What was spent, and what is left of budgets."),
    "prices": ("prices", "What models cost."),
    "models": ("models", "The models, and the names that clients know them by."),
    "betas": ("betas", "Which beta flags and body fields reach which model."),
    "providers": ("providers", "Accounts and regions beside the default one."),
    "audit": ("audit", "Who changed what."),
    "top": ("top", "Watch a proxy: rate, latency, errors, tokens, cost."),
    "explain": ("explain", "What happened to one request, and why."),
    "backup": ("backup", "Copy the embedded store."),
    "migrate": ("migrate", "What another gateway's installation becomes here."),
    "tables": ("tables", "Create or migrate the DynamoDB tables."),
    "config": ("config", "The effective settings, secrets masked, each with its source."),
    "doctor": ("doctor", "What is wrong with this installation, and how to mend it."),
    "sandboxd": ("sandboxd", "Run the executor of sandboxes."),
    "sandbox": ("sandbox", "Images for sandboxes, and whether their walls hold here."),
    "bedrock-sim": ("simulator", "Run the Bedrock simulator."),
}


class LazyGroup(click.Group):
    """A group whose commands are modules of this package, imported on first use.

    Each module holds one click command named `command`.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Lists every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Imports the module of the command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"{__package__}.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command; a mistyped one is refused with those that it may be."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise click.exceptions.NoSuchCommand(name, possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; what it fails with may quote clients, stores and AWS."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = printable_lines(error.message)  # type: ignore[misc]  # not shown yet
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Writes the commands' part of the help page, for which nothing is imported."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="anthropic-bedrock-proxy")
def cli() -> None:
    """Serve the Anthropic Messages API from Amazon Bedrock."""
