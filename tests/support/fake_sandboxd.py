"""A program that takes the options of `sandboxd` and runs an executor over the fake isolation."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path

from fake_isolation import FakeIsolation

from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.executor.process import ExecutorOptions, run


class SlowToClose(FakeIsolation):
    """Closes once a file is there."""

    def __init__(self, until) -> None:
        super().__init__()
        self._until = until

    async def close(self) -> None:
        while not self._until.exists():
            await asyncio.sleep(0.01)
        await super().close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", type=ExecutorAddress.from_url)
    parser.add_argument("--lock", type=Path)
    parser.add_argument("--parent", type=int)
    given = parser.parse_args()
    if os.environ.get("SANDBOX_NAME") == "broken":
        sys.exit("it cannot start")
    with Path(given.listen.path).with_name("starts").open("a") as file:
        file.write(f"{os.getpid()}\n")
    options = ExecutorOptions(
        listen=given.listen,
        token=None,
        warm=1,
        files=given.lock and given.lock.with_name("files"),
        lock=given.lock,
        parent=given.parent,
    )
    isolation = FakeIsolation()
    if os.environ.get("SANDBOX_NAME") == "slow-to-close":
        isolation = SlowToClose(Path(given.listen.path).with_name("go-on"))
    try:
        run(options, lambda: isolation, b"{}", print)
    finally:
        if isolation.opened:
            ended = "closed" if isolation.closed and not isolation.runners else "left"
            Path(given.listen.path).with_name("ended").write_text(ended)


if __name__ == "__main__":
    main()
