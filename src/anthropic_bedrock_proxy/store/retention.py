"""How long single usage records are kept, in stores that do not see to it themselves."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from .base import StoreError, UsageLog
from .totals import DAY_MS

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

    Not before the first hour is over: what a dead process left in its journal comes back earlier,
    and a record that is gone already would be counted again.
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
