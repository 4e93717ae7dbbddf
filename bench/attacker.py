"""The process that attacks: `python -m bench.attacker KIND --port N --seconds S`.

It is a process of its own, of low priority: on a machine with few cores it would else take the
turn of the proxy and of who measures it, which no attacker from outside can. Prints what it did as
one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
from time import monotonic
from typing import Final

import msgspec
import uvloop

from .attacks import KINDS, Kind
from .wire import Counts, connected

_NICENESS: Final = 5


async def attack(kind: Kind, *, port: int, seconds: float, connections: int) -> Counts:
    """Attacks for as long, then leaves all at once."""
    counts = Counts()
    deadline = monotonic() + seconds
    pause = connections / kind.per_second if kind.per_second else 0.0

    async def one(number: int) -> None:
        source = f"127.0.0.{number % kind.addresses + 1}"
        await asyncio.sleep(pause * number / connections)
        while monotonic() < deadline:
            began = monotonic()
            # A refused or reset connection is what an attacker expects.
            with contextlib.suppress(OSError, TimeoutError):
                async with connected(port, counts, source=source) as line:
                    await kind.attack(line)
            await asyncio.sleep(max(0.0, began + pause - monotonic()))

    tasks = [asyncio.create_task(one(number)) for number in range(connections)]
    until = deadline - monotonic()
    done, _ = await asyncio.wait(tasks, timeout=until, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()  # it failed: a bug of the attack
    return counts


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.attacker", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--connections", type=int, default=200)
    options = parser.parse_args()
    os.nice(_NICENESS)
    counts = uvloop.run(
        attack(
            KINDS[options.kind],
            port=options.port,
            seconds=options.seconds,
            connections=options.connections,
        )
    )
    print(msgspec.json.encode(counts).decode())


if __name__ == "__main__":
    main()
