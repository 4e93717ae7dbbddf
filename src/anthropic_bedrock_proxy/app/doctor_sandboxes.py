"""The check of sandboxes, for `doctor`."""

from __future__ import annotations

from typing import Final

import msgspec

from ..config import Settings
from ..config.load import DEFAULT
from ..diagnosis.checks import CheckResult, fail, ok, warn
from .sandbox import sandboxes_enabled

_SWITCHES: Final = ("ENABLE_PROGRAMMATIC_TOOL_CALLING", "ENABLE_STANDALONE_CODE_EXECUTION")


async def check_sandboxes(settings: Settings) -> list[CheckResult]:
    """Starts a sandbox that tries what must not work, or asks the executors of SANDBOX_URL."""
    if not sandboxes_enabled(settings):
        return [ok("not enabled: code is never run")]
    if settings.sandbox.url is not None:
        return await _executors(settings)
    from .executor import isolation_options, try_walls  # noqa: PLC0415  # seldom needed

    options = isolation_options(settings.sandbox, "doctor")
    report = await try_walls(msgspec.structs.replace(options, pull=False), wait=False)
    walls = report.get("isolation", settings.sandbox.isolation)
    if report["status"] != "ready":
        # Who never asked for sandboxes need not miss them: all else is served.
        unasked = all(settings.sources[name] == DEFAULT for name in _SWITCHES)
        line = warn if unasked or report["status"] == "preparing" else fail
        return [
            line(
                f"{walls}: {report['reason']}",
                f"see `sandbox check`; or turn sandboxes off ({', '.join(_SWITCHES)})",
            )
        ]
    if report["holes"]:
        return [
            fail(
                f"{walls}: these walls do not hold: {report['holes']}",
                "do not run foreign code behind them; see `sandbox check`",
            )
        ]
    return [ok(f"{walls}: a sandbox started, and its walls hold")]


async def _executors(settings: Settings) -> list[CheckResult]:
    from ..sandbox.address import parse_addresses  # noqa: PLC0415  # seldom needed
    from ..sandbox.connection import ExecutorConnection  # noqa: PLC0415

    lines = []
    for address in parse_addresses(settings.sandbox.url or ""):
        connection = ExecutorConnection(address, settings.sandbox.token)
        try:
            state = await connection.state()
        finally:
            await connection.close()
        if state.status == "ready":
            lines.append(ok(f"{address.url}: ready, {state.isolation}"))
            continue
        line = warn if state.status == "preparing" else fail
        lines.append(
            line(
                f"{address.url}: {state.status}: {state.reason}",
                "start `sandboxd` there, and give both the same SANDBOX_TOKEN",
            )
        )
    return lines
