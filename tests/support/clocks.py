"""A clock that stands still until a test sets it, and one of event loops that a test sets ahead."""

from __future__ import annotations

import asyncio


class Clock:
    """Tells `now`."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class AheadLoop(asyncio.SelectorEventLoop):
    """An event loop whose time goes on as ever, and further when `pass_time` says so."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead = 0.0

    def time(self) -> float:
        return super().time() + self._ahead

    async def pass_time(self, seconds: float) -> None:
        """Lets time go by at once; what is due then has begun when this returns."""
        self._ahead += seconds
        for _ in range(20):
            await asyncio.sleep(0)


def run_ahead(main) -> None:
    """Runs `main(loop)` in such a loop."""
    with asyncio.Runner(loop_factory=AheadLoop) as runner:
        runner.run(main(runner.get_loop()))
