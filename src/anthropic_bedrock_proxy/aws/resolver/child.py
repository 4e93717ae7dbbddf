"""The program of the child process: looks up AWS credentials for all workers.

Started by `host.py` as `python -m …aws.resolver.child CONTROL PACE`. CONTROL is the descriptor of a
socket on which workers introduce themselves, each with one end of a socket of its own (SCM_RIGHTS);
PACE is a JSON list, the fields of `Pace`. On a worker's socket go lines of JSON:

    worker: {"id": 1, "identity": {…}}          subscribe
    worker: {"id": 1, "refused": "AKIA…"}       AWS refused these keys
    worker: {"id": 1, "leave": true}            nobody needs them any more
    child:  {"id": 1, "keys": {…} | null, "failure": "…" | null}

Reports for the log go to stdout, a JSON object a line. The process ends with its stdin, that is
with the process that started it, and takes with it what it has started (a `credential_process`).
Only the standard library and botocore are imported: this is paid for in memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from .feed import Feed, Keys
from .lookup import look_up
from .pace import Pace

_TICK_SECONDS: Final = 1.0
_TELL_SECONDS: Final = 1.0
_LONGEST_LINE: Final = 64 * 1024
_HANGS: Final = 3  # the exit code of a process that cannot end a look-up


class Peer:
    """The connection of one worker."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(_TELL_SECONDS)
        self.connection = connection
        self.feeds: dict[int, Feed] = {}
        self._buffer = b""
        self._sending = threading.Lock()

    def tell(self, message: dict[str, Any]) -> None:
        """Sends a line; a worker that does not read is cut off, and connects again."""
        with self._sending:
            try:
                self.connection.sendall(json.dumps(message).encode() + b"\n")
            except OSError:
                with contextlib.suppress(OSError):  # it has gone already
                    self.connection.shutdown(socket.SHUT_RDWR)

    def read(self) -> list[dict[str, Any]] | None:
        """Returns the whole lines that have come; None at the end of the connection."""
        try:
            data = self.connection.recv(_LONGEST_LINE)
        except OSError:
            data = b""
        if not data or len(self._buffer) > _LONGEST_LINE:
            return None
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]


class Child:
    """The feeds by identity, and the workers that subscribe to them."""

    def __init__(
        self,
        control: socket.socket,
        pace: Pace,
        *,
        look_up: Callable[[dict[str, Any]], Keys],
        report: Callable[[dict[str, Any]], None],
    ) -> None:
        control.setblocking(False)
        self._control = control
        self._pace = pace
        self._look_up = look_up
        self._report = report
        self._feeds: dict[str, Feed] = {}
        self._told_to_end: set[Feed] = set()  # feeds whose look-up was told to end
        self._selector = selectors.DefaultSelector()

    def run(self, stdin: int) -> None:
        """Serves until `stdin` ends."""
        control = self._control.fileno()
        self._selector.register(stdin, selectors.EVENT_READ)
        self._selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select(_TICK_SECONDS if self._feeds else None):
                if key.fd == stdin:
                    if not os.read(stdin, 1):
                        return
                elif key.fd == control:
                    self._welcome()
                else:
                    self._serve(key.data)
            self._watch()

    def _welcome(self) -> None:
        try:
            _, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        except BlockingIOError:  # the child of a host that died is ending, and took the worker
            return
        for descriptor in descriptors:
            peer = Peer(socket.socket(fileno=descriptor))
            self._selector.register(descriptor, selectors.EVENT_READ, peer)

    def _serve(self, peer: Peer) -> None:
        messages = peer.read()
        if messages is None:
            self._selector.unregister(peer.connection)
            for feed in peer.feeds.values():
                feed.unsubscribe(peer)
            peer.connection.close()
            return
        for message in messages:
            name = message["id"]
            if "identity" in message:
                peer.feeds[name] = self._subscribed(peer, name, message["identity"])
            elif "refused" in message:
                peer.feeds[name].refuse(peer, message["refused"])
            else:
                peer.feeds.pop(name).unsubscribe(peer)

    def _subscribed(self, peer: Peer, name: int, identity: dict[str, Any]) -> Feed:
        key = json.dumps(identity, sort_keys=True)
        feed = self._feeds.get(key)
        if feed is None or not feed.subscribe(peer, name):
            feed = self._feeds[key] = Feed(
                identity, look_up=self._look_up, report=self._report, pace=self._pace
            )
            feed.subscribe(peer, name)
            threading.Thread(target=feed.run, daemon=True).start()
        return feed

    def _watch(self) -> None:
        """Ends look-ups that hang: their processes first, then this one.

        botocore bounds each wait for the network, but neither a whole answer that comes a byte at a
        time nor a `credential_process`.
        """
        now, hang = time.monotonic(), self._pace.hang
        self._feeds = {key: feed for key, feed in self._feeds.items() if not feed.ended}
        for feed in self._feeds.values():
            began = feed.began  # read once: its thread sets it
            took = 0.0 if began is None else now - began
            if took < hang:
                self._told_to_end.discard(feed)
            elif feed not in self._told_to_end:
                self._told_to_end.add(feed)
                feed.hang(f"no answer within {hang:g} s")
                os.killpg(0, signal.SIGTERM)  # to this process it means nothing
            elif took > 1.5 * hang:
                os._exit(_HANGS)


def main() -> None:
    """Runs the program."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # A look-up must not end in the middle. A handler, because what is started inherits SIG_IGN.
    signal.signal(signal.SIGTERM, lambda *_: None)
    control = socket.socket(fileno=int(sys.argv[1]))
    pace = Pace(*json.loads(sys.argv[2]))
    reporting = threading.Lock()

    def report(event: dict[str, Any]) -> None:
        with reporting, contextlib.suppress(OSError):  # the reader has gone: stdin tells it too
            sys.stdout.write(json.dumps(event) + "\n")
            sys.stdout.flush()

    try:
        Child(control, pace, look_up=look_up, report=report).run(_take_stdin())
    finally:
        os.killpg(0, signal.SIGKILL)


def _take_stdin() -> int:
    """Returns stdin under another number: a `credential_process` may read 0, botocore too (MFA)."""
    stdin = os.dup(0)
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # pathlib is not needed otherwise
        os.dup2(nothing.fileno(), 0)
    return stdin


if __name__ == "__main__":
    main()
