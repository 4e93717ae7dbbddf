"""The operations of a running proxy, by its admin API."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPException
from types import TracebackType
from typing import Any, Final, Self
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

import click

from .wire import TakenError, UnknownIdError, Where, decode, encode, load, parameters

KEY_VARIABLE: Final = "ADMIN_API_KEY"
_TIMEOUT_SECONDS: Final = 60.0
_KINDS: Final[Mapping[int, type[click.ClickException]]] = {
    HTTPStatus.NOT_FOUND: UnknownIdError,
    HTTPStatus.CONFLICT: TakenError,
}


def if_refused(reason: object) -> str:
    """Returns what to look at where nothing listens; empty for other reasons."""
    if isinstance(reason, ConnectionRefusedError):
        return ". Nothing listens there: does the proxy run, and is its port in --url?"
    return ""


class RemoteAdmin:
    """The operations of a running proxy, asked over HTTP."""

    def __init__(self, url: str, key: str) -> None:
        """`url` is the address of the proxy, as clients use it."""
        if not _is_address(url):
            raise click.UsageError("--url takes the http(s) address of a proxy, without a password")
        self._url = url.rstrip("/")
        self._key = key

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Does nothing: no connection is kept open."""

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """See `Admin.call`."""
        texts = parameters(query)
        request = Request(  # noqa: S310  # the scheme was checked
            f"{self._url}/admin/api/{path}" + (f"?{urlencode(texts)}" if texts else ""),
            method=method,
            data=None if body is None else encode(body),
            headers={
                "authorization": f"Bearer {self._key}",
                "content-type": "application/json",
                "accept": "application/json",
            },
        )
        try:
            return self._send(request)
        except URLError as error:
            raise click.ClickException(
                f"{self._url} cannot be reached: {error.reason}{if_refused(error.reason)}"
            ) from error
        except OSError as error:
            raise click.ClickException(f"{self._url} cannot be reached: {error}") from error
        except (HTTPException, ValueError, RecursionError) as error:
            raise click.ClickException(f"{self._url} answered something else: {error}") from error

    def _send(self, request: Request) -> Any:
        try:
            response = _opener().open(request, timeout=_TIMEOUT_SECONDS)
        except HTTPError as error:
            with error:
                kind = _KINDS.get(error.code, click.ClickException)
                raise kind(
                    _message(error.code, error.headers.get("location"), error.read())
                ) from None
        with response:
            if "request-id" not in response.headers:
                raise ValueError("that is no answer of this proxy")
            return decode(response.read())


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    # What follows ? or # would swallow the path.
    strange = parts.username is not None or "?" in url or "#" in url or " " in url
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and port != 0
        and url.isprintable()
        and not strange
    )


class _Stay(HTTPRedirectHandler):
    """A handler that follows no redirect: the key goes only to the address that was typed."""

    def redirect_request(self, *_: Any) -> None:
        """Returns None: there is no other request."""
        return


def _opener() -> OpenerDirector:
    return build_opener(_Stay)


def read_key(where: Where) -> str:
    """Reads the key for a remote proxy. Raises `click.ClickException`."""
    if where.key_file is not None:
        try:
            key = where.key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise click.ClickException(f"the key cannot be read: {error}") from error
    else:
        key = os.environ.get(KEY_VARIABLE) or load(where.config_file).auth.master_api_key or ""
    if not key:
        raise click.ClickException(
            f"--url needs a key: --admin-key-file FILE, {KEY_VARIABLE} or MASTER_API_KEY"
        )
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise click.ClickException("the key has characters that none has")
    return key


def _message(status: int, location: str | None, raw: bytes) -> str:
    """Returns the message of an error; its status if it has not our form."""
    if location is not None:
        return (
            f"the proxy answered {status} and leads to {location}; the key is sent to no other "
            "address than --url, so name the right one there"
        )
    try:
        message = json.loads(raw)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return f"the proxy answered {status}"
    return str(message)
