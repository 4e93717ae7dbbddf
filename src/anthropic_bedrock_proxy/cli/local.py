"""The operations in this process, on the configured store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import click

from ..config import Settings, SettingsError
from ..errors import ConflictError, NotFoundError, ProxyError
from ..store.base.errors import StoreError
from ..store.base.store import Store
from .terminal import is_terminal, say
from .which_store import WithoutStore, found_store
from .wire import TakenError, UnknownIdError, decode, encode, parameters


class LocalAdmin:
    """The operations on the configured store, opened before and closed after."""

    def __init__(self, settings: Settings, without: WithoutStore, *, quiet: bool) -> None:
        """`without` is for where there is no store; unless `quiet` a person is told which it is.

        Raises `click.ClickException`.
        """
        self._found = found_store(settings, without)
        self._settings = self._found.settings
        self._quiet = quiet
        self._runner = asyncio.Runner()
        self._store: Store | None = None

    def __enter__(self) -> Self:
        from ..app.admin import build_admin  # noqa: PLC0415  # heavy
        from ..app.bedrock import make_resolver  # noqa: PLC0415
        from ..app.store import make_store  # noqa: PLC0415

        self._runner.__enter__()
        try:
            store = make_store(self._settings, make_resolver(self._settings))
            self._runner.run(store.open())
        except StoreError as error:
            self._runner.close()
            raise click.ClickException(str(error)) from error
        if not self._quiet and (self._found.notable or is_terminal()):
            say(self._found.line, err=True)
        self._store = store
        self._api = build_admin(self._settings, store)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._store is not None:
                self._runner.run(self._store.close())
        except StoreError as failure:
            if error is None:
                raise click.ClickException(str(failure)) from failure
        finally:
            self._runner.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """See `Admin.call`."""
        from ..admin.scopes import LOCAL  # noqa: PLC0415  # heavy
        from ..admin.table import PREFIX  # noqa: PLC0415

        raw = b"" if body is None else encode(body)
        try:
            _, document = self._runner.run(
                self._api.dispatch(LOCAL, method, PREFIX + path, parameters(query), raw)
            )
        except NotFoundError as error:
            raise UnknownIdError(error.message) from error
        except ConflictError as error:
            raise TakenError(error.message) from error
        except ProxyError as error:
            raise click.ClickException(error.message) from error
        except (SettingsError, StoreError) as error:
            raise click.ClickException(str(error)) from error
        return decode(encode(document))
