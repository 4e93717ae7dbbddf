"""What this machine takes for the same bytes without a gateway: a bare ASGI app on uvicorn.

Machines differ by a factor of two and change by the minute. The targets were set where this app
took about 32 us of CPU per request; its row in the table tells how far from there a run was made.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from . import work
from .processes import child, environment, free_port
from .proxy import messages_target, wait_for_200
from .wrk import Target

_ROOT = Path(__file__).resolve().parent.parent
SPIKE_US: Final = 32.0
TARGET_RATIO: Final = 4.4  # 141 us, what agentgateway publishes for a saturated machine, over that


async def application(_: Any, receive: Any, send: Any) -> None:
    """Reads the request, sends the answer."""
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _ANSWER})


_ANSWER = work.answer_body()


@contextlib.contextmanager
def running() -> Iterator[tuple[Target, int]]:
    """What to ask and the process's id."""
    port = free_port()
    command = [sys.executable, "-m", "bench.yardstick", str(port)]
    with child(
        command, env=environment(), cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=sys.stderr.fileno()
    ) as process:
        target = messages_target(port, "sk-none", stream=False)
        wait_for_200(target)
        yield target, process.pid


def main() -> None:
    """Serves on the port given."""
    import uvicorn  # noqa: PLC0415  # only the child needs it
    import uvloop  # noqa: PLC0415

    config = uvicorn.Config(
        application,
        port=int(sys.argv[1]),
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(uvicorn.Server(config).serve())


if __name__ == "__main__":
    main()
