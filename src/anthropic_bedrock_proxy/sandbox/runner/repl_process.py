"""The supervisor's side of the interpreter: a child that is not to be believed.

What it writes is checked as if the code had written it, which it can. What is of no known form ends
the interpreter, and nothing else.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .lines import BadLineError, encode_line, is_too_deep
from .link import LineLink
from .outputs import OutputPipes
from .processes import kill_started_by, spawn

MAX_UNANSWERED = 1_000  # calls that were told
_MOST = 2**53  # a number that JSON keeps whole everywhere

Message = dict[str, Any]


class ReplProcess:
    """A child in which Python cells run, its socket and its output.

    `on_message` gets its messages: `calls`, checked, or `end`. `on_end` is called when its socket
    is at an end, with a reason if it was this side that found it bad.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        pipes: OutputPipes,
        environment: dict[str, str],
        on_message: Callable[[Message], None],
        on_end: Callable[[str], None],
    ) -> None:
        from .repl import serve  # noqa: PLC0415 - slow, and nothing for who runs no Python

        self._on_message = on_message
        self._unanswered: dict[int, float] = {}
        self._last_call = 0
        self._cell = 0
        self._functions: frozenset[str] = frozenset()
        self._call_seconds = 0.0
        ours, theirs = socket.socketpair()
        end = theirs.fileno()
        self.process = spawn(lambda: serve(theirs, environment), pipes.write_ends, keep=end)
        theirs.close()
        read_end = ours.detach()
        self._link = LineLink(selector, (read_end, os.dup(read_end)), self._take, on_end)

    def run(self, cell: int, message: Message, output: str) -> None:
        """Begins a cell."""
        self._cell = cell
        self._functions = frozenset(message["functions"])
        self._call_seconds = message["call_seconds"]
        self._link.send(
            {
                "type": "run",
                "cell": cell,
                "code": message["code"],
                "functions": message["functions"],
                "output": output,
            }
        )

    def tell(self, calls: list[int], now: float) -> None:
        """Notes that calls were told, from when on they may stay unanswered for a while."""
        for call in calls:
            self._unanswered[call] = now + self._call_seconds

    def answer(self, call: int, text: str) -> None:
        """Passes a result on; one that nobody waits for is ignored."""
        if self._unanswered.pop(call, None) is not None:
            self._link.send({"type": "result", "call": call, "text": text})

    def waits(self) -> bool:
        """Tells whether a call that was told is unanswered."""
        return bool(self._unanswered)

    def next_deadline(self) -> float | None:
        """Returns when the first of the unanswered calls is given up."""
        return min(self._unanswered.values(), default=None)

    def give_up(self, now: float) -> None:
        """Gives up the calls whose time is over."""
        for call in [call for call, due in self._unanswered.items() if due <= now]:
            del self._unanswered[call]
            self._link.send({"type": "timeout", "call": call, "seconds": self._call_seconds})

    def interrupt(self) -> None:
        """Interrupts the code, as ctrl-C does."""
        with suppress(ProcessLookupError):  # its end is told anyway
            os.kill(self.process, signal.SIGINT)

    def kill(self) -> None:
        """Ends it and all that it has started."""
        kill_started_by(self.process)

    def close(self) -> None:
        """Lets go of its socket."""
        self._link.close()

    def _take(self, message: Message) -> None:
        wrong = self._wrong(message)
        if wrong:
            self._link.end(f"it wrote {wrong}")
        else:
            self._on_message(message)

    def _wrong(self, message: Message) -> str:
        """Returns what is wrong with a message, or nothing."""
        if message.get("type") == "calls":
            return self._wrong_calls(message.get("calls"))
        if message.get("type") != "end" or message.get("cell") != self._cell:
            return "what is no message"
        if not _is_code(message.get("return_code")) or not _is_text(message.get("stderr")):
            return "an end that is none"
        return ""

    def _wrong_calls(self, calls: Any) -> str:
        if not isinstance(calls, list) or not calls:
            return "calls that are none"
        if len(calls) + len(self._unanswered) > MAX_UNANSWERED:
            return "too many calls"
        for call in calls:
            if not isinstance(call, dict) or call.keys() != {"call", "name", "input"}:
                return "a call that is none"
            if type(call["call"]) is not int or not self._last_call < call["call"] < _MOST:
                return "a call with a number that is none"
            if not isinstance(call["name"], str) or call["name"] not in self._functions:
                return "a call of what is no function of the cell"
            if not isinstance(call["input"], dict) or is_too_deep(call["input"]):
                return "a call without a dict"
            self._last_call = call["call"]
        # Of what cannot be said in UTF-8 (half a character), too.
        return "" if _can_be_told(calls) else "calls that cannot be told"


def _is_code(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 255  # noqa: PLR2004 - as processes have it


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and _can_be_told([value])


def _can_be_told(value: list[Any]) -> bool:
    try:
        encode_line({"": value})
    except BadLineError:
        return False
    return True
