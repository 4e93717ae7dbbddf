"""The first process of a container: it starts the server as its child, and does what is left.

Process 1 inherits every process whose parent has gone, and has to reap it. The server cannot: it
would take the exit status of children that other parts of it wait for. So both are apart, as with
`docker run --init`, which makes this unnecessary.
"""

from __future__ import annotations

import os
import signal
from typing import Final

from . import systemd

_PASSED_ON: Final = frozenset(
    (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
)


def stand_before() -> None:
    """Returns in the process that is to serve, a child of this one."""
    first = os.getpid()
    awaited = _PASSED_ON | {signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    server = os.fork()
    if server == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, awaited)
        systemd.come_after(first)
        return
    while True:
        told = signal.sigwaitinfo(awaited)
        if told.si_signo == signal.SIGCHLD:
            _reap(server)
        elif told.si_code <= 0:  # sent by a process; Ctrl-C of a terminal has reached both
            os.kill(server, told.si_signo)


def _reap(server: int) -> None:
    """Reaps who has ended; ends with the server."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == server:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)  # as shells say of a signal
        if pid == 0:
            return
