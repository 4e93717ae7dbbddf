"""The check of the store, for `doctor`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ..aws.resolver.resolver import Resolver
from ..config import Settings
from ..diagnosis.checks import CheckResult, fail, ok, warn
from ..diagnosis.machine import check_sqlite
from ..store.base.errors import NotPreparedError, StoreError
from .store import make_dynamodb, table_names


async def check_store(settings: Settings, resolver: Resolver) -> list[CheckResult]:
    """Looks whether the store is there, and has what this version wants; makes nothing."""
    path = settings.store.sqlite_path
    if path is not None:
        return [await check_sqlite_store(path)]
    if settings.store.url != "dynamodb://":
        return [warn("in memory: all is lost at a restart")]
    return await _tables(settings, resolver)


async def check_sqlite_store(path: Path) -> CheckResult:
    """Looks whether the file can be written to, and has all migrations and no others."""
    from ..store.sqlite.schema import SQL  # noqa: PLC0415  # one of the stores

    names = [file.name for file in (SQL / "migrations").glob("*.sql")]
    return await asyncio.to_thread(check_sqlite, path, names)


async def _tables(settings: Settings, resolver: Resolver) -> list[CheckResult]:
    from ..store.dynamodb.schema import NEEDED, check_tables  # noqa: PLC0415  # one of the stores

    client = make_dynamodb(settings, resolver)
    try:
        await check_tables(client, table_names(settings))
    except NotPreparedError as error:
        return [
            fail(str(error).partition(": ")[0], "run `tables create`, or correct DYNAMODB_*_TABLE")
        ]
    except StoreError as error:
        return [
            fail(
                str(error),
                "check DYNAMODB_ENDPOINT_URL, the credentials, and that the role may use "
                "dynamodb:* on the tables",
            )
        ]
    finally:
        await client.close()
    return [ok(f"DynamoDB: all {len(NEEDED)} tables are active")]
