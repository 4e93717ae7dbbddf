"""A user's input about a provider: checked texts, and secrets that are no arguments."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Final

import click

from ..models.registry import DEFAULT_PROVIDER

_SECRET_VARIABLE: Final = "PROVIDER_SECRET_ACCESS_KEY"  # noqa: S105  # the name of one
_TOKEN_VARIABLE: Final = "PROVIDER_BEARER_TOKEN"  # noqa: S105  # as above


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise click.BadParameter(f"{text!r} is not {what}")
        return text

    return convert


NAME = _matching(
    rf"(?!{DEFAULT_PROVIDER}$)[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}",
    f"up to 64 letters, digits and . _ - ({DEFAULT_PROVIDER} is taken)",
)
REGION = _matching(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}", "the name of an AWS region")
ROLE = _matching(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", "the ARN of an IAM role")


def url(text: str) -> str:
    """Checks an endpoint; cuts a slash at its end. Raises `click.BadParameter`."""
    from ..aws.connect import Endpoint  # noqa: PLC0415  # heavy

    try:
        Endpoint.from_url(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if "@" in text:  # a password would be shown with the URL
        raise click.BadParameter("no user name or password belongs in it")
    return text.rstrip("/")


def read_credentials(access_key_id: str | None, bearer: bool) -> dict[str, str]:
    """Reads a secret from the environment, else one line of stdin; empty if none is asked for.

    Raises `click.UsageError` if nothing comes.
    """
    if access_key_id:
        secret = _read_secret("Secret access key", _SECRET_VARIABLE)
        return {"access_key_id": access_key_id, "secret_access_key": secret}
    if bearer:
        return {"bearer_token": _read_secret("Bearer token", _TOKEN_VARIABLE)}
    return {}


def _read_secret(what: str, variable: str) -> str:
    secret = os.environ.get(variable, "")
    if not secret and sys.stdin.isatty():
        secret = click.prompt(what, hide_input=True, err=True)
    elif not secret:
        secret = sys.stdin.readline()
    if not (secret := secret.strip()):
        raise click.UsageError(f"no {what.lower()} came on stdin or in {variable}")
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        raise click.UsageError(f"the {what.lower()} has characters that none has")
    return secret
