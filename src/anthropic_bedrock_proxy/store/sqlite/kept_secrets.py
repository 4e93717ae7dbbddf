"""The kept secrets in the SQLite file."""

from __future__ import annotations

import sqlite3

from .file import SQLiteFile
from .schema import QUERIES, transaction


class SQLiteKeptSecrets:
    """Secrets in a table of their own."""

    def __init__(self, file: SQLiteFile) -> None:
        self._file = file

    async def keep_first(self, name: str, offered: bytes) -> bytes:
        """See `KeptSecrets.keep_first`."""

        def work(connection: sqlite3.Connection) -> bytes:
            # Read first: each worker asks once, and all but the first need no lock for writing.
            if (kept := _kept(connection, name)) is not None:
                return kept
            with transaction(connection):
                connection.execute(QUERIES["keep_secret"], {"name": name, "secret": offered})
                return _kept(connection, name) or offered

        return await self._file.run(work)


def _kept(connection: sqlite3.Connection, name: str) -> bytes | None:
    row = connection.execute(QUERIES["get_secret"], {"name": name}).fetchone()
    return None if row is None else bytes(row["secret"])
