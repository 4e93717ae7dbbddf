"""Checks that run at once, each with a deadline, and the report of all.

A check that fails to run is itself a line of the report: nothing that is broken here may keep the
others from being told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Thread
from typing import Any, Final, Literal, TypeVar

import msgspec

from ..redaction import hide_keys, redact

CHECK_SECONDS: Final = 5.0
Grade = Literal["ok", "warn", "fail"]
T = TypeVar("T")


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report; `name` is that of its check unless it says another."""

    state: Grade
    found: str
    mend: str = ""
    name: str = ""


def ok(found: str, *, mend: str = "", name: str = "") -> CheckResult:
    """Makes a line of what is as it should be; `mend` is what else could be done."""
    return CheckResult(state="ok", found=found, mend=mend, name=name)


def warn(found: str, mend: str = "", *, name: str = "") -> CheckResult:
    """Makes a line of what should be better, and does not keep the proxy from serving."""
    return CheckResult(state="warn", found=found, mend=mend, name=name)


def fail(found: str, mend: str, *, name: str = "") -> CheckResult:
    """Makes a line of what keeps the proxy from serving."""
    return CheckResult(state="fail", found=found, mend=mend, name=name)


class Check(msgspec.Struct, frozen=True):
    """A check by its name; `run` returns its lines."""

    name: str
    run: Callable[[], Awaitable[Sequence[CheckResult]]]
    seconds: float = CHECK_SECONDS


async def run_checks(checks: Sequence[Check]) -> list[CheckResult]:
    """Runs all checks at once; returns their lines in the order of the checks."""
    lines = await asyncio.gather(*(_run(check) for check in checks))
    return [line for every in lines for line in every]


def worst(results: Sequence[CheckResult]) -> Grade:
    """Returns the worst state of all lines."""
    states = {result.state for result in results}
    return "fail" if "fail" in states else "warn" if "warn" in states else "ok"


async def _run(check: Check) -> list[CheckResult]:
    try:
        async with asyncio.timeout(check.seconds):
            lines = await check.run()
    except TimeoutError:
        lines = [
            fail(
                f"no answer in {check.seconds:g} s",
                "look at the network and the load of this machine, and try again",
            )
        ]
    except Exception as error:  # noqa: BLE001  # the other checks are told all the same
        lines = [
            fail(
                f"the check itself failed: {type(error).__name__}: {error}",
                "report this: it is a bug of the proxy",
            )
        ]
    return [_finished(check, line) for line in lines]


def _finished(check: Check, line: CheckResult) -> CheckResult:
    return msgspec.structs.replace(
        line, name=line.name or check.name, found=hide_keys(redact(line.found))
    )


class DaemonThreads(ThreadPoolExecutor):
    """An executor whose threads nobody waits for at the end.

    A name server or a volume that does not answer holds its thread for minutes; the report does not
    wait for that.
    """

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Runs `fn` on a thread of its own."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  # it goes to who waits for it
                future.set_exception(error)
            else:
                future.set_result(result)

        Thread(target=work, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Waits for nothing."""
