"""`prices`: what models cost, in USD per million tokens."""

from __future__ import annotations

from decimal import Decimal

import click

from .client import admin
from .columns import Column, print_table
from .common import json_option, print_fields, where_options
from .price_report import lines_of
from .terminal import say, say_json
from .values import dollars, moment, usd_text
from .wire import Where, load

_COLUMNS = ("input_usd", "output_usd", "cache_read_usd", "cache_write_usd", "cache_write_1h_usd")
from_option = click.option(
    "--from", "valid_from", metavar="DATE", type=moment, help="From when on it holds."
)
region_option = click.option("--region", metavar="REGION", help="Only in this AWS region.")


@click.group()
def command() -> None:
    """Prices of models, in USD per million tokens."""


@command.command("list")
@click.argument("model", required=False)
@json_option
@where_options
def list_(*, model: str | None, as_json: bool, where: Where) -> None:
    """List the prices of MODEL, or of all: those that were set, then the synced and the shipped."""
    with admin(where, without_store="built in") as client:
        found = client.call("GET", "prices", query={"model": model})
    if as_json:
        say_json(found)
        return
    print_table(
        (
            "MODEL",
            Column("PLACE", cut=True),
            Column("FROM", rank=4),
            Column("UNTIL", rank=6),
            "INPUT",
            "OUTPUT",
            Column("CACHE READ", rank=1),
            Column("CACHE WRITE", rank=1),
            Column("CACHE WRITE 1H", rank=3),
            Column("SOURCE", rank=5),
        ),
        [
            (
                row["model"],
                row["place"] or row["region"],
                row["valid_from"],
                row["valid_until"],
                *(usd_text(row[name]) for name in _COLUMNS),
                row["source"],
            )
            for row in found["prices"]
        ],
        note="USD per million tokens",
        empty=f"no price is known of {model}: `models list` has models, `prices set` gives a price",
    )


@command.command("set")
@click.argument("model")
@click.option("--input", "input_usd", required=True, metavar="USD", type=dollars, help="Input.")
@click.option("--output", "output_usd", required=True, metavar="USD", type=dollars, help="Output.")
@click.option(
    "--cache-read", "cache_read_usd", metavar="USD", type=dollars, help="Default: input / 10."
)
@click.option(
    "--cache-write", "cache_write_usd", metavar="USD", type=dollars, help="Default: input * 1.25."
)
@click.option(
    "--cache-write-1h",
    "cache_write_1h_usd",
    metavar="USD",
    type=dollars,
    help="Default: input * 2.",
)
@region_option
@from_option
@click.option("--until", "valid_until", metavar="DATE", type=moment, help="Until when; exclusive.")
@json_option
@where_options
def set_(
    *,
    model: str,
    region: str | None,
    as_json: bool,
    where: Where,
    **fields: Decimal | str | None,
) -> None:
    """Set what a million tokens of MODEL cost, from now on or from a date on."""
    body = {"model": model, "region": region or "*", **fields}
    with admin(where, without_store="make") as client:
        price = client.call("PUT", "prices", body=body)
    print_fields(price, as_json=as_json)


@command.command()
@click.argument("model")
@region_option
@from_option
@json_option
@where_options
def unset(
    *, model: str, region: str | None, valid_from: str | None, as_json: bool, where: Where
) -> None:
    """Forget a price that was set; the shipped one holds again."""
    query = {"model": model, "region": region, "valid_from": valid_from}
    with admin(where) as client:
        removed = client.call("DELETE", "prices", query=query)
    if as_json:
        say_json(removed)
    else:
        say(f"the price of {model} is forgotten")


@command.command("sync")
@click.argument("source", metavar="[FILE|URL]", required=False)
@click.option("--dry-run", is_flag=True, help="Only tell what would change.")
@json_option
@where_options
def sync(*, source: str | None, dry_run: bool, as_json: bool, where: Where) -> None:
    """Take over AWS's price list, or one in LiteLLM's public format from FILE or URL.

    Without FILE or URL the list is that of PRICING_SYNC_URL, or else AWS's own, asked with the AWS
    keys of the configuration, also with --url. It stands under the prices that were set, and over
    the shipped ones.
    """
    from .price_sync import taken  # noqa: PLC0415  # heavy

    settings = load(where.config_file)
    source = source or settings.sync.prices_url
    with admin(where, without_store="built in" if dry_run else "make") as client:
        providers = [] if source else client.call("GET", "providers")["providers"]
        prices = taken(settings, [one["region"] for one in providers], source)
        report = client.call(
            "PUT",
            "prices/synced",
            query={"dry_run": dry_run},
            body={"source": prices.source, "text": prices.text},
        )
    report |= {"skipped": prices.skipped, "examples": prices.examples}
    if as_json:
        say_json(report)
        return
    for line in lines_of(report):
        say(line)
