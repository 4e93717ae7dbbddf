"""Work on many inputs, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import chain, islice
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_AT_ONCE: Final = 32  # requests that one call keeps on their way


async def each(work: Callable[[T], Awaitable[R]], inputs: Iterable[T]) -> list[R]:
    """Returns the results of `work` for each input, a few at a time; the first error ends all."""
    waiting = enumerate(inputs)
    results: dict[int, R] = {}

    async def run(first: tuple[int, T]) -> None:
        for number, one in chain((first,), waiting):
            results[number] = await work(one)

    try:
        async with asyncio.TaskGroup() as group:
            for first in islice(waiting, _AT_ONCE):
                group.create_task(run(first))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [results[number] for number in sorted(results)]


def parts(whole: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cuts as it goes: to make all of a large batch beforehand would keep the loop."""
    rest = iter(whole)
    while part := list(islice(rest, size)):
        yield part
