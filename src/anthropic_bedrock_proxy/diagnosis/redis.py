"""The check of Redis, which counts limits for all machines."""

from __future__ import annotations

from ..limits.connect import server_from_url
from .checks import CheckResult, fail, ok

_MEND = (
    "start it, or correct LIMITS_URL (scheme, host, user, password); meanwhile each machine counts "
    "alone"
)


async def check_redis(url: str) -> CheckResult:
    """Asks for the version of the server behind LIMITS_URL, which may hold a password."""
    try:
        server = server_from_url(url)
    except ValueError:
        return fail("LIMITS_URL cannot be used", _MEND)
    try:
        await server.execute("PING")
        answer = await server.execute("INFO", "server")
    except Exception as error:  # noqa: BLE001  # whatever redis-py raises is what was found
        return fail(
            f"Redis: {type(error).__name__}: {error}",
            _MEND,
        )
    finally:
        await server.leave()
    version = answer.get("redis_version", "unknown") if isinstance(answer, dict) else "unknown"
    return ok(f"Redis {version} answers")
