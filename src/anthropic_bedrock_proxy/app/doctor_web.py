"""The checks of web fetch and of seals, for `doctor`. No page is fetched, and no key is made."""

from __future__ import annotations

import asyncio
import os
import time
from secrets import token_bytes
from typing import Final

from ..aws.connect import Endpoint, proxy_for
from ..config import Settings
from ..config.load import DEFAULT
from ..diagnosis.checks import CheckResult, fail, ok, warn
from ..errors import UnavailableError
from ..fetch.base import Fetched, FetchError
from .search_plan import plan_search
from .web_pages import why_no_pages

READ_SECONDS: Final = 8.0  # the process imports for a second, on a slow disk for longer
_PAGE: Final = b"<html><title>A page</title><body><p>Its text.</p></body></html>"
_ANY_HOST: Final = Endpoint("page.invalid", 443, tls=True)
_OFF: Final = "or turn web fetch off (ENABLE_WEB_FETCH=false)"


async def check_web_fetch(settings: Settings) -> list[CheckResult]:
    """Looks whether pages can be read, and whether the settings let any be fetched."""
    if reason := why_no_pages(settings):
        wanted = settings.web.enable_web_fetch and settings.sources["ENABLE_WEB_FETCH"] != DEFAULT
        return [(warn if wanted else ok)(f"not served: {reason}")]
    lines = [await _reading()]
    aws = settings.aws
    if proxy_for(_ANY_HOST, aws.https_proxy, aws.no_proxy) and not settings.fetch.trust_proxy:
        lines.append(
            warn(
                "no https:// page can be fetched: HTTPS_PROXY is set, and FETCH_TRUST_PROXY is not",
                "set FETCH_TRUST_PROXY=true if that proxy itself refuses private and link-local "
                f"addresses; {_OFF}",
            )
        )
    return lines


async def _reading() -> CheckResult:
    """Has a page read by the process that reads those of requests."""
    from ..fetch.reading.reader import PageReader, reader_environ  # noqa: PLC0415  # seldom needed

    reader = PageReader(reader_environ(os.environ))
    try:
        await reader.read(Fetched(_PAGE, "text/html", "https://page.invalid/"), "doctor")
    except (FetchError, OSError) as error:
        words = error.reason if isinstance(error, FetchError) else str(error)
        return fail(
            f"the process that reads pages does not read a page of two lines: {words}",
            f"let it start, with 1 GiB of address space (`ulimit -v`), and install the extra anew; "
            f"{_OFF}",
        )
    finally:
        await reader.close()
    return ok("the process that reads pages starts, and reads; no page was fetched")


async def check_seals(settings: Settings) -> list[CheckResult]:
    """Tells whose keys seal what clients keep of searches, and whether all workers have them."""
    if not plan_search(settings).names:
        return [ok("not needed: web search is not served")]
    try:
        await asyncio.to_thread(_try_to_seal)
    except UnavailableError as error:
        return [fail(error.message, "install the extra anew; or ENABLE_WEB_SEARCH=false")]
    days = f"what clients keep opens for {settings.web.web_seal_days:g} days"
    if settings.web.web_seal_keys is not None:
        count = settings.web.web_seal_keys.count(",") + 1
        keys = "1 key" if count == 1 else f"{count} keys, of which the first seals"
        return [ok(f"WEB_SEAL_KEYS: {keys}; {days}")]
    if settings.store.url != "memory://":
        return [ok(f"a key that is kept in the store; {days}")]
    mend = "set WEB_SEAL_KEYS, or a STORE_URL that lasts"
    if settings.server.workers > 1:
        return [
            warn(
                f"each of {settings.server.workers} workers has a key of its own in memory: what "
                "one has found another one refuses in the next turn",
                mend,
            )
        ]
    return [ok("a key in memory: what clients keep is refused after a restart", mend=mend)]


def _try_to_seal() -> None:
    from ..tools.web.seal import Seals  # noqa: PLC0415  # an extra

    Seals([token_bytes(32)], time.time, 1).seal("doctor", b"doctor", b"x")
