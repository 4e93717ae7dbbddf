"""The functions that code calls to reach the client's tools, and when their calls are told.

Calls wait until the event loop is about to block, because only then is it known that no more will
come: three in an `asyncio.gather` go out as one line, three in a loop as three.

    code: await gather(a({}), b({}))     loop: runs a, which waits; runs b, which waits
                                         selector: nothing to run, so about to block
                                         -> {"type": "calls", "calls": [a's, b's]}
    {"type": "result", "call": 1, …} ->  a's future has its result; the loop runs what waited for it
"""

from __future__ import annotations

import asyncio
import json
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any

from .lines import MAX_DEPTH, is_too_deep

MAX_CALLS = 1_000  # that may wait for an answer
MAX_INPUT_BYTES = 1024 * 1024  # of one call's arguments, as JSON
MAX_HELD_BYTES = 8 * 1024 * 1024  # of calls not told yet: more would not go in one line
MAX_TOLD_BYTES = 16 * 1024 * 1024  # of calls that wait for an answer: others are held until one has
MAX_HELD_SECONDS = 0.5  # before calls of code that never blocks are told
_LONGEST = 4  # bytes of a character in UTF-8
THIS_FILE = (lambda: 0).__code__.co_filename  # its frames are kept out of tracebacks

Function = Callable[..., Coroutine[Any, Any, str]]


class FunctionCalls:
    """Calls of an interpreter: held until they are told, then waiting for an answer."""

    def __init__(self, tell: Callable[[bytes], None]) -> None:
        self._tell = tell
        self._offered: frozenset[str] = frozenset()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[int, tuple[str, asyncio.Future[str]]] = {}
        self._open: set[int] = set()  # told and unanswered; or waited for
        self._told: dict[int, int] = {}  # bytes of those that are open
        self._held: dict[int, str] = {}
        self._held_bytes = 0
        self._held_since = 0.0
        self._last = 0

    def open(self) -> asyncio.AbstractEventLoop:
        """Makes the event loop in which code may call functions."""
        self._loop = asyncio.SelectorEventLoop(_QuiescenceSelector(self))
        return self._loop

    def offer(self, names: list[str]) -> dict[str, Function]:
        """Makes the functions of a cell; those of earlier ones refuse unless among them."""
        self._offered = frozenset(names)
        return {name: self._function(name) for name in names}

    def answer(self, call: int, text: str) -> None:
        """Takes a result; for a call that nobody waits for any more it is nothing."""
        self._close(call)
        _, future = self._waiting.get(call, ("", None))
        if future is not None and not future.done():
            future.set_result(text)

    def give_up(self, call: int, seconds: float) -> None:
        """Ends a call that was not answered in time."""
        self._close(call)
        name, future = self._waiting.get(call, ("", None))
        if future is not None and not future.done():
            message = f"Calling tool ['{name}'] timed out (no response after {seconds:g}s)."
            future.set_exception(TimeoutError(message))

    def tell_held(self) -> None:
        """Tells the calls that were not told yet, as many as may wait for an answer."""
        while texts := self._next_to_tell():
            self._tell(('{"type":"calls","calls":[' + ",".join(texts) + "]}").encode())

    def _next_to_tell(self) -> list[str]:
        """Takes the held calls that go in one line."""
        room = MAX_TOLD_BYTES - sum(self._told.values())
        line = MAX_HELD_BYTES
        texts: list[str] = []
        while self._held:
            call, text = next(iter(self._held.items()))
            size = len(text.encode())
            if size > room or (texts and len(text) * _LONGEST > line):
                break
            room -= size
            line -= len(text) * _LONGEST
            self._told[call] = size
            self._held_bytes -= len(text) * _LONGEST
            del self._held[call]
            texts.append(text)
        return texts

    def _close(self, call: int) -> None:
        self._open.discard(call)
        self._told.pop(call, None)

    def hold_too_long(self) -> bool:
        """Tells whether calls have been held for so long that they are told in any case."""
        return bool(self._held) and time.monotonic() - self._held_since > MAX_HELD_SECONDS

    def _function(self, name: str) -> Function:
        async def function(arguments: Any = None, /, **named: Any) -> str:
            return await self._call(name, arguments, named)

        function.__name__ = function.__qualname__ = name
        function.__doc__ = f"Calls the tool {name} with one dict; returns its result, a string."
        return function

    async def _call(self, name: str, arguments: Any, named: dict[str, Any]) -> str:
        text = _encoded(name, arguments, named)
        if name not in self._offered:
            raise RuntimeError(f"{name}() is not available any more")
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(
                f"{name}() can be awaited only in the event loop that runs this code"
            )
        if len(self._open) >= MAX_CALLS:
            raise RuntimeError(f"{name}(): more than {MAX_CALLS} calls at once")
        self._last += 1
        call = self._last
        future: asyncio.Future[str] = self._loop.create_future()
        self._waiting[call] = (name, future)
        self._open.add(call)
        self._hold(call, f'{{"call":{call},"name":{json.dumps(name)},"input":{text}}}')
        try:
            return await future
        finally:
            self._waiting.pop(call, None)
            held = self._held.pop(call, None)
            if held is not None:  # cancelled before it was told: it never is
                self._held_bytes -= len(held) * _LONGEST
                self._open.discard(call)

    def _hold(self, call: int, text: str) -> None:
        if not self._held:
            self._held_since = time.monotonic()
        self._held[call] = text
        self._held_bytes += len(text) * _LONGEST
        if self._held_bytes > MAX_HELD_BYTES:
            self.tell_held()


class _QuiescenceSelector(selectors.DefaultSelector):
    """A selector that notices when the loop is about to block, and has the calls told before."""

    def __init__(self, calls: FunctionCalls) -> None:
        super().__init__()
        self._calls = calls

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Waits for events, as any selector."""
        ready = super().select(0)
        if self._calls.hold_too_long():
            self._calls.tell_held()
        if ready or (timeout is not None and timeout <= 0):
            return ready
        self._calls.tell_held()
        return super().select(timeout)


def _encoded(name: str, arguments: Any, named: dict[str, Any]) -> str:
    """Returns the arguments of a call as JSON, or raises in words of the code that called."""
    if arguments is None:
        arguments = named
    elif named:
        raise TypeError(f"{name}() takes one dict, or its items by name, but not both")
    if not isinstance(arguments, dict):
        raise TypeError(f"{name}() takes one dict, not {type(arguments).__name__}")
    try:
        text = json.dumps(arguments, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except TypeError as error:
        raise TypeError(f"{name}() takes a dict that is JSON: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}() takes a dict that is JSON: {error}") from None
    if is_too_deep(arguments):
        raise ValueError(f"{name}() takes {MAX_DEPTH} levels at most")
    if size > MAX_INPUT_BYTES:
        raise ValueError(f"{name}() takes {MAX_INPUT_BYTES} bytes at most, not {size}")
    return text
