"""Checks of this machine: folders, the SQLite file, the file of the log, open files."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Final

from .checks import CheckResult, fail, ok, warn

_LITTLE_BYTES: Final = 1024**3
_TOO_LITTLE_BYTES: Final = 64 * 1024**2  # some minutes of usage while the store is away
_OWN_DESCRIPTORS: Final = 64


def check_folder(folder: Path) -> CheckResult:
    """Checks that files can be written into a folder, made if need be, and that there is room."""
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return fail(
            f"{there} cannot be written to",
            f"let the user {_user()} write there, or name another folder",
        )
    free = shutil.disk_usage(there).free
    room = f"{free / 1024**3:.1f} GB free"
    if free < _LITTLE_BYTES:
        line = fail if free < _TOO_LITTLE_BYTES else warn
        return line(
            f"{folder}: only {room}",
            "make room: usage is kept in memory when the disk is full, and lost by a kill",
        )
    made = "" if folder.exists() else ", made at the first start"
    return ok(f"{folder} can be written to{made}; {room}")


def check_sqlite(path: Path, migrations: Collection[str]) -> CheckResult:
    """Checks that the file can be written and has the schema of this version; changes nothing."""
    if not path.exists():
        folder = check_folder(path.parent)
        if folder.state == "fail":
            return folder
        return ok(f"{path} is not there yet: made at the first start")
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return fail(
            f"{path} or its folder cannot be written to",
            f"let the user {_user()} write there: SQLite makes files beside its own",
        )
    try:
        applied = _applied(path)
    except sqlite3.Error as error:
        return fail(
            f"{path} cannot be read: {error}",
            "if it is locked, see who writes to it; if it is damaged, restore a backup",
        )
    if newer := applied - {*migrations}:
        return fail(
            f"{path} was migrated by a newer version ({', '.join(sorted(newer))})",
            "run that version, or restore a backup made before",
        )
    if missing := len({*migrations} - applied):
        return warn(
            f"{path} is of an older version: {missing} migrations to do",
            "back it up with that version: the next start or command does them",
        )
    return ok(f"{path} can be written to, its schema is current")


def _applied(path: Path) -> set[str]:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1.0)
    try:
        tables = "SELECT 1 FROM sqlite_master WHERE name = 'schema_migrations'"
        if connection.execute(tables).fetchone() is None:
            return set()
        return {name for (name,) in connection.execute("SELECT name FROM schema_migrations")}
    finally:
        connection.close()


def check_log(path: Path) -> CheckResult:
    """Checks that lines can be appended to a file, which is made in a folder that is there."""
    if path.exists():
        writable = not path.is_dir() and os.access(path, os.W_OK)
    else:
        writable = path.parent.is_dir() and os.access(path.parent, os.W_OK | os.X_OK)
    if writable:
        return ok(f"{path} can be written to")
    return fail(
        f"{path} cannot be written to, so nothing starts",
        f"make its folder, let the user {_user()} write there, or correct LOG_OUTPUT",
    )


def check_open_files(connections: int) -> CheckResult:
    """Checks that the hard limit of open files has room for a worker's connections."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * connections + _OWN_DESCRIPTORS
    if hard == resource.RLIM_INFINITY or hard >= wanted:
        return ok(f"{_shown(hard)} for {connections} connections")
    return warn(
        f"{_shown(hard)}, but MAX_CLIENT_CONNECTIONS={connections} takes up to {wanted}",
        f"raise the hard limit (ulimit -Hn, LimitNOFILE=, --ulimit) to {wanted}, or set "
        f"MAX_CLIENT_CONNECTIONS={max(1, (hard - _OWN_DESCRIPTORS) // 2)}",
    )


def _shown(limit: int) -> str:
    return "no limit" if limit == resource.RLIM_INFINITY else f"{limit} at most"


def _user() -> str:
    return str(os.geteuid())
