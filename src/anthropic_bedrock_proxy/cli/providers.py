"""`providers`: accounts and regions beside the default one.

Their credentials are read from stdin or the environment, never from an argument, because arguments
are seen in process lists and shell histories. They are stored encrypted and shown masked.
"""

from __future__ import annotations

from typing import Any

import click

from .client import admin
from .columns import Column, print_table
from .common import confirm, json_option, print_fields, where_options, yes_option
from .provider_input import NAME, REGION, ROLE, read_credentials, url
from .terminal import say, say_json
from .wire import Where, segment


@click.group()
def command() -> None:
    """Accounts and regions beside the default one."""


@command.command("list")
@json_option
@where_options
def list_(*, as_json: bool, where: Where) -> None:
    """List the providers of the store and of the settings; credentials are masked."""
    with admin(where, without_store="built in") as client:
        found = client.call("GET", "providers")
    for problem in found["problems"]:
        say(problem, err=True)
    rows = found["providers"]
    if as_json:
        say_json({"providers": rows})
        return
    print_table(
        (
            "NAME",
            "REGION",
            Column("CREDENTIALS", cut=True),
            Column("ROLE", cut=True, rank=2),
            Column("ENDPOINT", cut=True, rank=3),
            "STATUS",
            Column("SOURCE", rank=1),
        ),
        [
            (
                row["name"],
                row["region"],
                row["credentials"] or row["profile"],
                row["role_arn"],
                row["endpoint_url"],
                "enabled" if row["is_enabled"] else "disabled",
                row["source"],
            )
            for row in rows
        ],
        empty="none beside that of the AWS_* settings: `providers add` adds one",
    )


@command.command()
@click.argument("name", type=NAME)
@click.option("--region", required=True, type=REGION, metavar="REGION", help="Its AWS region.")
@click.option("--endpoint-url", type=url, help="Its bedrock-runtime endpoint.")
@click.option("--mantle-endpoint-url", type=url, help="Its bedrock-mantle endpoint.")
@click.option("--role-arn", type=ROLE, metavar="ARN", help="Assume this role for it.")
@click.option("--external-id", help="The external id that the role asks for.")
@click.option("--profile", help="A profile of the AWS configuration files.")
@click.option("--access-key-id", help="Its secret is read from stdin or the environment.")
@click.option("--bearer-token-stdin", is_flag=True, help="Read an Amazon Bedrock API key.")
@click.option("--replace", is_flag=True, help="Replace the provider if there is one.")
@json_option
@where_options
def add(
    *,
    access_key_id: str | None,
    bearer_token_stdin: bool,
    as_json: bool,
    where: Where,
    **fields: Any,
) -> None:
    """Add a provider. Without credentials of its own it uses the default ones.

    A secret is one line on stdin, or PROVIDER_SECRET_ACCESS_KEY or PROVIDER_BEARER_TOKEN in the
    environment.
    """
    if sum(map(bool, (access_key_id, bearer_token_stdin, fields["profile"]))) > 1:
        raise click.UsageError("give one of --access-key-id, --bearer-token-stdin and --profile")
    if fields["external_id"] and not fields["role_arn"]:
        raise click.UsageError("--external-id belongs to --role-arn")
    body = {**fields, **read_credentials(access_key_id, bearer_token_stdin)}
    with admin(where, without_store="make") as client:
        added = client.call("POST", "providers", body=body)
    print_fields(added, as_json=as_json)


@command.command()
@click.argument("name")
@yes_option
@json_option
@where_options
def remove(*, name: str, yes: bool, as_json: bool, where: Where) -> None:
    """Remove a provider, with its credentials."""
    with admin(where) as client:  # which names the store that is asked about
        confirm(f"Remove the provider {name} with its credentials?", yes=yes)
        removed = client.call("DELETE", f"providers/{segment(name)}")
    if as_json:
        say_json(removed)
    else:
        say(f"{name} is removed")


@command.command()
@click.argument("name")
@json_option
@where_options
def enable(*, name: str, as_json: bool, where: Where) -> None:
    """Send requests to a provider again."""
    _switch(name, "enable", where, as_json=as_json)


@command.command()
@click.argument("name")
@json_option
@where_options
def disable(*, name: str, as_json: bool, where: Where) -> None:
    """Send no requests to a provider until `enable`."""
    _switch(name, "disable", where, as_json=as_json)


def _switch(name: str, verb: str, where: Where, *, as_json: bool) -> None:
    with admin(where) as client:
        switched = client.call("POST", f"providers/{segment(name)}/{verb}")
    print_fields(switched, as_json=as_json)
