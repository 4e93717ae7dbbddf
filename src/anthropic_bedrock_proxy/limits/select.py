"""LIMITS_URL to limiter: the scheme names the implementation, and only that one is imported."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from ..errors import needs_extra
from .base import Limiter

# Settings say the same (config/rules.py); tests/config/test_settings_agree.py compares both.
ALLOWED: Final = (
    "memory://, redis://host:port/db, redis+sentinel://host:port,host:port/name/db "
    "or redis+cluster://host:port; rediss for TLS"
)
_SCHEMES: Final = {
    f"{scheme}{kind}" for scheme in ("redis", "rediss") for kind in ("", "+sentinel", "+cluster")
}
FILE_NAME: Final = "limits-1.table"  # the number is that of the layout

logger = logging.getLogger("anthropic_bedrock_proxy.limits")


def limiter_from_url(
    url: str,
    *,
    directory: Path,
    timeout_seconds: float = 0.1,
    fail: Literal["open", "closed"] = "open",
    now: Callable[[], float] = time.time,
) -> Limiter:
    """Makes the limiter for `url`; this machine's own counts are in a file in `directory`.

    Raises `ValueError` for a URL that it cannot serve.
    """
    if url == "memory://":
        return _of_this_machine(directory, now)
    check_url(url)
    from .redis import RedisLimiter  # noqa: PLC0415  # an extra

    return RedisLimiter(
        url,
        fallback=_of_this_machine(directory, now),
        timeout_seconds=timeout_seconds,
        fail=fail,
    )


def check_url(url: str) -> None:
    """Raises `ValueError` for a URL that no limiter can be made for."""
    if url == "memory://":
        return
    scheme, separator, _ = url.partition("://")
    if scheme.lower() not in _SCHEMES or not separator:
        # Only the scheme is repeated: the rest may hold a password.
        what = f"{scheme}://…" if separator else "without a scheme"
        raise ValueError(f"no limiter for a URL {what}; use {ALLOWED}")
    try:
        from .connect import server_from_url  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise ValueError(needs_extra(f"LIMITS_URL with {scheme}://", "redis")) from error
    try:
        server_from_url(url)
    except ValueError:
        raise ValueError(
            f"the {scheme}:// URL of the limiter has a part, or a parameter behind the ?, that "
            f"cannot be used; use {ALLOWED}"
        ) from None


def _of_this_machine(directory: Path, now: Callable[[], float]) -> Limiter:
    try:
        from .shared import SharedLimiter  # noqa: PLC0415  # not every system has its locks
    except ImportError as error:
        from .memory import MemoryLimiter  # noqa: PLC0415  # seldom needed

        logger.warning("%s; every process counts its limits alone", error)
        return MemoryLimiter(now=now)
    limiter = SharedLimiter(directory / FILE_NAME, now=now)
    limiter.open()
    return limiter
