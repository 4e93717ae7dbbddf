"""Clients of the operations: this process on the configured store, or a proxy over HTTP.

The same operations in the same shapes, so a command does not know which of the two it talks to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

import click

from .which_store import WithoutStore
from .wire import Where, load


class Admin(Protocol):
    """The port of the operations, until it is closed."""

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Runs one operation and returns its document; `path` follows /admin/api/.

        Parameters of None are left out. Raises `click.ClickException`.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def admin(where: Where, *, without_store: WithoutStore = "refuse") -> Admin:
    """Makes the client that the options ask for. Raises `click.ClickException`.

    `without_store` says what to do in a folder without one: see `which_store.py`.
    """
    if where.url is None:
        if where.key_file is not None:
            raise click.UsageError("--admin-key-file belongs to --url")
        from .local import LocalAdmin  # noqa: PLC0415  # only one of the two is needed

        return LocalAdmin(load(where.config_file), without_store, quiet=where.as_json)
    from .remote import RemoteAdmin, read_key  # noqa: PLC0415  # only with --url

    return RemoteAdmin(where.url, read_key(where))


def pages(
    client: Admin, path: str, field: str, *, cursor: str = "after", **query: Any
) -> Iterator[dict[str, Any]]:
    """Yields the items of a listing's pages; `cursor` names the parameter for the next page."""
    following = None
    while True:
        page = client.call("GET", path, query={**query, cursor: following})
        yield from page[field]
        following = page["next"]
        if following is None:
            return
