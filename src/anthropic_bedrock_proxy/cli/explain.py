"""`explain`: what happened to one request, in plain words."""

from __future__ import annotations

from urllib.parse import quote

import click

from .client import admin
from .common import json_option, where_options
from .terminal import say, say_json
from .wire import Where


@click.command()
@click.argument("request_id")
@json_option
@where_options
def command(*, request_id: str, as_json: bool, where: Where) -> None:
    """Explain what happened to a request: limits, changes, targets, timings, cost.

    REQUEST_ID is the `request-id` of its answer. It has to be asked for on the machine that served
    it, or with --url of the proxy there.
    """
    with admin(where) as client:
        document = client.call("GET", f"requests/{quote(request_id, safe='')}")
    if as_json:
        say_json(document)
        return
    for sentence in document["explanation"]:
        say(sentence)
