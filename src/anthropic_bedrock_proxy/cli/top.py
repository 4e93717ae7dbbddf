"""`top`: what a proxy does now, on one screen: rate, latency, errors, tokens, cost, sessions."""

from __future__ import annotations

import time
from http.client import HTTPException
from urllib.request import Request, urlopen

import click

from ..errors import needs_extra
from .common import json_option
from .remote import if_refused
from .terminal import say_json
from .top_figures import Figures, Scrape, figures
from .wire import load

_SECONDS = 5.0
_EXTRA = needs_extra("top", "terminal")


@click.command()
@click.option("--url", default="http://127.0.0.1:8000", show_default=True, help="The proxy.")
@click.option(
    "--token", envvar="METRICS_TOKEN", help="METRICS_TOKEN of the proxy; by default from settings."
)
@click.option(
    "--interval", type=click.FloatRange(min=1), default=2.0, show_default=True, help="Seconds."
)
@json_option
def command(*, url: str, token: str | None, interval: float, as_json: bool) -> None:
    """Watch a proxy: it reads /metrics again and again until Ctrl-C.

    With --json it prints the figures of one interval and ends.
    """
    token = token or load(None).telemetry.metrics_token
    before = scrape(url, token)
    if as_json:
        time.sleep(interval)
        say_json(figures(before, scrape(url, token)).document())
        return
    watch(url, token, interval, before)


def watch(url: str, token: str | None, interval: float, before: Scrape) -> None:
    """Draws the figures until it is interrupted."""
    try:
        from rich.live import Live  # noqa: PLC0415  # for this command only
    except ModuleNotFoundError as error:
        raise click.ClickException(_EXTRA) from error
    from .top_screen import screen  # noqa: PLC0415

    shown = figures(before, before)
    with Live(screen(url, shown), screen=True, auto_refresh=False) as live:
        try:
            while True:
                time.sleep(interval)
                shown, before = _next(url, token, before, shown)
                live.update(screen(url, shown), refresh=True)
        except KeyboardInterrupt:
            return


def _next(url: str, token: str | None, before: Scrape, shown: Figures) -> tuple[Figures, Scrape]:
    """Returns the figures of the next interval; those of before, with the reason, without one."""
    try:
        now = scrape(url, token)
    except click.ClickException as error:
        return shown.stale(error.message), before
    return figures(before, now), now


def scrape(url: str, token: str | None) -> Scrape:
    """Reads the metrics of a proxy. Raises `click.ClickException`."""
    from prometheus_client.parser import (  # noqa: PLC0415  # heavy
        text_string_to_metric_families,
    )

    if not url.startswith(("http://", "https://")):
        raise click.ClickException(f"{url} is no address: http://HOST:PORT")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        request = Request(f"{url.rstrip('/')}/metrics", headers=headers)  # noqa: S310  # see above
        with urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            families = list(text_string_to_metric_families(answer.read().decode()))
    except ValueError as error:
        raise click.ClickException(f"{url}/metrics tells no metrics: is it the proxy?") from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "code", None) or getattr(error, "reason", None) or error
        hint = " (--token, or METRICS_TOKEN)" if str(reason) == "401" else ""
        hint = hint or if_refused(reason)
        raise click.ClickException(f"{url}/metrics cannot be read: {reason}{hint}") from error
    return Scrape(time.monotonic(), [sample for family in families for sample in family.samples])
