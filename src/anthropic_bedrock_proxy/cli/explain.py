"""`explain`: what happened to one request, in plain words."""

from __future__ import annotations

import click

from .client import admin
from .common import json_option, where_options
from .terminal import say, say_json
from .wire import Where, segment


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
        document = client.call("GET", f"requests/{segment(request_id)}")
    if as_json:
        say_json(document)
        return
    for sentence in document["explanation"]:
        say(sentence)
