"""Rules of robots.txt, asked before a fetch where the operator wants that (RFC 9309).

A site without the file, or with one that cannot be read, has no rules. One whose file is not to be
had just now (a status of 5xx, no connection) is left alone, as the RFC wants it.

The file is a stranger's: only the first lines of it are parsed, and that in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final
from urllib.robotparser import RobotFileParser

import msgspec

from .base import (
    Fetched,
    NotAccessibleError,
    NotAllowedError,
    StatusError,
    TooLargeError,
    WrongTypeError,
)

KEPT_SECONDS: Final = 3600.0
FAILED_SECONDS: Final = 60.0
MAX_BYTES: Final = 512 * 1024  # RFC 9309 2.5 wants at least 500 KiB to be read
TYPES: Final = frozenset(("text/*", "application/octet-stream"))
_MAX_LINES: Final = 10_000
_MAX_LINE: Final = 2048  # characters
_MAX_KEPT: Final = 40_000  # lines of all files together
_SERVER_FAULT: Final = range(500, 600)

# Gets the URL of a robots.txt; returns its content. Raises `FetchError`.
FetchRules = Callable[[str], Awaitable[Fetched]]


class _Rules(msgspec.Struct, frozen=True):
    """The rules of one origin; `parser` None: nobody may fetch there now."""

    until: float
    parser: RobotFileParser | None
    lines: int


class Robots:
    """The rules of the sites that were fetched from. Belongs to one event loop."""

    def __init__(self, user_agent: str, *, now: Callable[[], float] = monotonic) -> None:
        """`user_agent` is the one of the requests: its first product is whom rules name."""
        self._user_agent = user_agent
        self._now = now
        self._rules: dict[str, _Rules] = {}  # by origin, in the order of time
        self._lines = 0

    async def check(self, origin: str, target: str, fetch: FetchRules) -> None:
        """Raises `NotAllowedError` where the rules of `origin` forbid its path `target`."""
        rules = self._rules.get(origin)
        if rules is None or rules.until <= self._now():
            rules = await self._learn(origin, fetch)
        if rules.parser is None:
            raise NotAccessibleError("its site's robots.txt cannot be had")
        if not rules.parser.can_fetch(self._user_agent, target):
            raise NotAllowedError("its site's robots.txt forbids it")

    async def _learn(self, origin: str, fetch: FetchRules) -> _Rules:
        text: str | None = ""
        try:
            text = (await fetch(f"{origin}/robots.txt")).body.decode("utf-8-sig", "replace")
        except StatusError as error:
            text = None if error.status in _SERVER_FAULT else ""
        except NotAccessibleError:
            text = None
        except (WrongTypeError, TooLargeError, NotAllowedError):
            pass  # it is none: no rules
        if text is None:
            rules = _Rules(self._now() + FAILED_SECONDS, None, 1)
        else:
            lines = [line for line in text.splitlines()[:_MAX_LINES] if len(line) <= _MAX_LINE]
            parser = RobotFileParser()
            await asyncio.to_thread(parser.parse, lines)
            rules = _Rules(self._now() + KEPT_SECONDS, parser, len(lines) + 1)
        self._keep(origin, rules)
        return rules

    def _keep(self, origin: str, rules: _Rules) -> None:
        self._drop(origin)
        self._rules[origin] = rules
        self._lines += rules.lines
        while self._lines > _MAX_KEPT:
            self._drop(next(iter(self._rules)))

    def _drop(self, origin: str) -> None:
        dropped = self._rules.pop(origin, None)
        if dropped is not None:
            self._lines -= dropped.lines
