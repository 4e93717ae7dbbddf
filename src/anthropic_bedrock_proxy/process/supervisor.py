"""The parent of forked workers: replaces the dead, the leaving and the stuck, and serves nothing.

Workers learn that they are to end by the end of a pipe, so they also follow a parent that was
killed. By another pipe they tell when they serve, that they live, and when they take no more
connections. Only its own children are waited for: others belong to whoever has started them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

import msgspec

from . import systemd
from .listening import Bound, Listeners
from .signals import AT_ONCE, STOP, Terminal, hold, release
from .worker import LEAVING, READY, Parent

_QUICK_DEATH_SECONDS: Final = 2.0
_MAX_QUICK_DEATHS: Final = 5
_NO_ROOM_SECONDS: Final = 1.0  # before a fork that the system refused is tried again
_RECORD_BYTES: Final = 5  # of a worker's report: what, and its process id
_READ_BYTES: Final = 4095  # whole records
_log = logging.getLogger("anthropic_bedrock_proxy")


class _Child(msgspec.Struct):
    place: int  # whose listeners it has
    started: float
    alive: float  # when it last said so
    serves: bool = False
    leaving: bool = False


class Supervisor:
    """Runs workers; `serve` runs one in a forked process and returns its exit code."""

    def __init__(
        self,
        serve: Callable[[Listeners, Parent], int],
        bound: Bound,
        *,
        drain_seconds: float,
        watchdog_seconds: float | None,
    ) -> None:
        self._serve = serve
        self._bound = bound
        self._drain_seconds = drain_seconds
        self._watchdog_seconds = watchdog_seconds
        self._children: dict[int, _Child] = {}
        self._vacant: list[int] = []  # places for which no process could be forked
        self._fork_at = 0.0  # when that is tried again; 0 if the last try succeeded
        self._told: list[int] = []  # signals
        self._terminal = Terminal()
        self._stopping = False
        self._unready = False  # the service manager waits to hear that all serve
        self._looked_at = time.monotonic()
        self._quick_deaths = 0
        self._exit_code = 0
        self._alive, self._held = os.pipe()
        self._reports, self._report_to = os.pipe()
        self._woken, self._wake = os.pipe()
        for each in (self._reports, self._report_to, self._woken, self._wake):
            os.set_blocking(each, False)

    def run(self) -> int:
        """Runs until every worker has gone; returns the exit code."""
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for sig in (*STOP, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(sig, self._on_signal)
        release()
        self._unready = True
        for place in range(len(self._bound.places)):
            self._fork(place)
        seconds = None if self._watchdog_seconds is None else self._watchdog_seconds / 2
        while self._children or self._vacant:
            wait = min(seconds or _NO_ROOM_SECONDS, _NO_ROOM_SECONDS) if self._vacant else seconds
            select.select((self._woken, self._reports), (), (), wait)
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, _READ_BYTES)
            self._do_as_told()
            self._read_reports()
            self._reap()
            self._fill()
            if self._watchdog_seconds is not None:
                self._look_after(self._watchdog_seconds)
        return self._exit_code

    # Signals

    def _on_signal(self, sig: int, _: FrameType | None) -> None:
        self._told.append(sig)

    def _do_as_told(self) -> None:
        told, self._told = self._told, []
        for sig in told:
            hung_up = sig == signal.SIGHUP and self._terminal.gone
            if sig in STOP or (hung_up and not self._stopping):
                self._stop()
            elif sig == signal.SIGHUP:
                self._reload()

    def _stop(self) -> None:
        """The first time lets workers drain, the second ends them at once."""
        if self._stopping:
            self._send(AT_ONCE)
            return
        self._stopping = True
        self._vacant = []
        systemd.notify(systemd.stopping(self._drain_seconds))
        for listener in self._bound.listeners:
            listener.close()  # workers have theirs
        os.close(self._held)

    def _reload(self) -> None:
        if not self._stopping:
            systemd.notify(systemd.reloading())
            self._unready = True
            for child in self._children.values():
                child.serves = False
            self._send(signal.SIGHUP)

    def _send(self, sig: int) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):  # it has just gone by itself
                os.kill(pid, sig)

    # Workers

    def _fork(self, place: int) -> None:
        """Starts a worker, or notes that there is no room for one now: the others go on."""
        hold()  # a child holds its signals until it serves
        try:
            now = time.monotonic()
            self._children[self._fork_worker(place)] = _Child(place, now, now)
            self._fork_at = 0.0
        except OSError as error:  # too many processes, or no memory
            if not self._fork_at:
                _log.error("no worker could be started, trying again: %s", error.strerror)
            self._vacant.append(place)
            self._fork_at = now + _NO_ROOM_SECONDS
        finally:
            release()

    def _fill(self) -> None:
        """Tries again what the system refused."""
        if self._vacant and time.monotonic() >= self._fork_at:
            vacant, self._vacant = self._vacant, []
            for place in vacant:
                self._fork(place)

    def _fork_worker(self, place: int) -> int:
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for descriptor in (self._held, self._reports, self._woken, self._wake):
                    os.close(descriptor)
                mine = self._bound.places[place]
                for listener in self._bound.listeners.difference(mine):
                    listener.close()  # of siblings: clients would wait in vain there
                code = self._serve(mine, Parent(self._alive, self._report_to))
            except BaseException:  # noqa: BLE001  # a forked child must never return
                _log.exception("worker failed")
            finally:
                os._exit(code)
        return pid

    def _read_reports(self) -> None:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._reports, _READ_BYTES)
        for start in range(0, len(data), _RECORD_BYTES):
            what, pid = data[start : start + 1], data[start + 1 : start + _RECORD_BYTES]
            child = self._children.get(int.from_bytes(pid, "big"))
            if child is not None:
                self._note(child, what)

    def _note(self, child: _Child, what: bytes) -> None:
        child.alive = time.monotonic()
        if what == READY:
            child.serves = True
        elif what == LEAVING and not self._stopping and not child.leaving:
            # It was told to end, and this process was not: another takes its place now, not when
            # its last answer has ended.
            child.leaving = True
            _log.warning("a worker leaves, starting another")
            self._fork(child.place)
        self._tell_ready()

    def _tell_ready(self) -> None:
        staying = [child for child in self._children.values() if not child.leaving]
        all_serve = not self._vacant and all(child.serves for child in staying)
        if self._unready and not self._stopping and all_serve:
            self._unready = False
            systemd.notify(systemd.READY)

    def _look_after(self, seconds: float) -> None:
        """Ends who has not been heard of; tells the service manager that this process lives."""
        systemd.notify(systemd.ALIVE)
        now = time.monotonic()
        stood_still, self._looked_at = now - self._looked_at > seconds, now
        for pid, child in self._children.items():
            if stood_still:  # this process did, perhaps all of the machine: nobody is to blame
                child.alive = now
            elif now - child.alive > seconds:
                _log.error("worker %d stands still for %g s, ending it", pid, seconds)
                os.kill(pid, signal.SIGKILL)  # it takes no other signal

    def _reap(self) -> None:
        for pid, child in list(self._children.items()):
            gone, status = os.waitpid(pid, os.WNOHANG)
            if gone:
                del self._children[pid]
                self._replace(child, os.waitstatus_to_exitcode(status))

    def _replace(self, child: _Child, code: int) -> None:
        if self._stopping:
            self._exit_code = self._exit_code or abs(code)
            return
        if child.leaving:
            return
        quick = time.monotonic() - child.started < _QUICK_DEATH_SECONDS
        self._quick_deaths = self._quick_deaths + 1 if quick else 0
        _log.error("worker exited with %d, starting another", code)
        if self._quick_deaths > _MAX_QUICK_DEATHS:
            self._exit_code = 1
            self._stop()
        else:
            self._fork(child.place)
