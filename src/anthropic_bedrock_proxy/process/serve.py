"""The processes of `serve`: bind first, import, fork workers, drain on SIGTERM.

- The sockets are bound (`process/listening.py`) before anything heavy is imported: clients that
  come early wait, none is refused.
- One worker (`process/worker.py`) serves in this process. Several are forked after the imports
  (their memory is shared); `process/supervisor.py` looks after them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from . import systemd
from .listening import Bound, Listeners

if TYPE_CHECKING:
    from ssl import SSLContext

    from ..config import Settings
    from .worker import Parent, ServedApp


def run(
    settings: Settings,
    bound: Bound,
    build: Callable[[], Awaitable[ServedApp]],
    tls: SSLContext | None,
) -> int:
    """Serves until told to stop; returns the exit code. `build` is called in each worker.

    `tls` is for workers that find no better certificate when they begin.
    """
    from . import worker  # noqa: PLC0415  # after the bind

    watchdog_seconds = systemd.watchdog_seconds()

    def serve(listeners: Listeners, parent: Parent | None) -> int:
        return worker.serve(
            settings,
            listeners,
            build,
            parent=parent,
            watchdog_seconds=watchdog_seconds,
            bound=bound,
            tls=tls,
        )

    if len(bound.places) == 1:
        return serve(bound.places[0], None)
    from .supervisor import Supervisor  # noqa: PLC0415  # for several only

    worker.settle_memory()  # keeps the collector's marks off the pages that the workers share
    options = settings.server
    return Supervisor(
        serve,
        bound,
        drain_seconds=options.shutdown_delay_seconds + options.shutdown_timeout_seconds,
        watchdog_seconds=watchdog_seconds,
    ).run()
