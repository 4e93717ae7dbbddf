"""The port of AWS credentials, as signers of requests use it.

Keys from the settings are there at once (`StaticSource`); everything else is looked up by a child
process (`resolver/`). Nothing here is called per request while there are fresh keys: see `current`.
"""

from __future__ import annotations

from typing import Protocol

from .sigv4 import Credentials


class CredentialsError(Exception):
    """No AWS credentials could be obtained; the message says from where, and why not."""


class CredentialsSource(Protocol):
    """A source of AWS keys to sign with."""

    @property
    def current(self) -> Credentials | None:
        """Returns fresh keys without waiting; None if `get` has to be awaited."""
        ...

    async def get(self) -> Credentials:
        """Returns fresh keys. Raises `CredentialsError`."""
        ...

    def invalidate(self, refused: Credentials | None = None) -> None:
        """Forgets keys that AWS refused, unless there are fresher ones; None: the present ones."""
        ...


class StaticSource:
    """Keys from the settings; they never change."""

    def __init__(self, credentials: Credentials) -> None:
        self.current: Credentials | None = credentials
        self._credentials = credentials

    async def get(self) -> Credentials:
        """Returns the keys."""
        return self._credentials

    def invalidate(self, refused: Credentials | None = None) -> None:
        """Does nothing: nothing fresher exists."""
