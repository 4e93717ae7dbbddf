"""Expiry of single usage records, in stores that do not expire them by themselves."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from .base.errors import StoreError
from .base.ledger import DAY_MS
from .base.usage import UsageLog

_EVERY_SECONDS = 3600.0

logger = logging.getLogger("anthropic_bedrock_proxy.store")


async def expire_usage(
    log: UsageLog,
    *,
    days: int,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Deletes the records that are older than `days` every hour, until cancelled; sums stay.

    Begins after an hour: by then the journals of dead processes are delivered. A record that comes
    again after it was deleted would be counted again.
    """
    while True:
        await sleep(_EVERY_SECONDS)
        try:
            expired = await log.expire(int(now() * 1000) - days * DAY_MS)
        except StoreError as error:
            logger.warning("old usage records stay for another hour: %s", error)
        else:
            if expired:
                logger.info("%d usage records were older than %d days", expired, days)
