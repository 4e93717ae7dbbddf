"""The limiter of all machines: what they use is counted in Redis (or Valkey), by its clock.

One call is under way at a time, and takes with it everything that came up meanwhile; the busier
the process, the more requests share a call. A request waits for the end of one call at most, and
then for its own: each may take half of the timeout.

When Redis is slow, gone, or does not take what is written, everything goes to the limiter of this
machine at once, and every connection is closed: what has failed over, another server answers for.
Calls of its own, which nobody waits for, try again until one could write (outage.py says when).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from secrets import token_hex
from typing import Final, Literal

import msgspec
from redis.exceptions import NoScriptError

from .base import Bucket, Buckets, Decision, Limiter, LimiterError, Slot
from .connect import server_from_url
from .outage import STEADY_SECONDS, RedisOutage
from .script import SCRIPT, SHA, Question, ScriptCall, decisions

REFRESH_SECONDS: Final = 15.0
_SETTLE_SECONDS = 0.01  # how long what is settled may wait for company
_CONNECT_SECONDS = 1.0  # a call that nobody waits for may have to connect
_MOST_QUESTIONS = 256  # in one call; Redis serves nobody else meanwhile
_MOST_CHANGES = 1024
# Charged to see whether Redis takes what is written: a read-only replica and a server out of memory
# answer everything else. In a thousandth of a second it is full again.
_PROOF = Bucket("probe", 1_000_000, 1.0)

logger = logging.getLogger("anthropic_bedrock_proxy.limits")


class Counts(msgspec.Struct):
    """Counters for metrics; they only grow."""

    calls: int = 0
    failures: int = 0  # of calls
    stood_in: int = 0  # takes that the limiter of this machine decided
    refused: int = 0  # takes that failed: neither Redis nor this machine was to decide
    lost: int = 0  # changes that Redis never heard of


class _Waiting(msgspec.Struct):
    question: Question
    answer: asyncio.Future[Decision | None]  # None: Redis cannot be reached


class RedisLimiter:
    """The limiter over Redis; connects at `run` or first use, after a fork; owns `fallback`."""

    def __init__(
        self,
        url: str,
        *,
        fallback: Limiter,
        timeout_seconds: float = 0.1,
        fail: Literal["open", "closed"] = "open",
        lapse_seconds: float = 45.0,
        most_kept: int = 16_384,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keeps the changes of up to `most_kept` buckets while Redis is away.

        Raises `ValueError` for a URL that is none; the message may repeat parts of it.
        """
        self.counts = Counts()
        self._server = server_from_url(url)
        self._execute = self._server.execute
        self._fallback = fallback
        self._timeout = timeout_seconds / 2
        self._fail = fail
        self._lapse_us = int(lapse_seconds * 1e6)
        self._most_kept = most_kept
        self._outage = RedisOutage(monotonic)
        self._holder = ""
        self._waiting: list[_Waiting] = []
        self._changes: Counter[Bucket] = Counter()
        self._held: Counter[str] = Counter()  # slots of this process that Redis decided
        self._untold: set[str] = set()  # slots of which Redis may have another count
        self._courier: asyncio.Task[None] | None = None
        self._later: asyncio.TimerHandle | None = None

    @property
    def degraded(self) -> bool:
        """Tells whether Redis is left alone for now."""
        return self._outage.away

    async def take(
        self, buckets: Buckets, costs: Sequence[int], slots: Sequence[Slot] = ()
    ) -> Decision:
        """See `Limiter`."""
        question = Question(buckets, costs, slots)
        if self._outage.away:
            self._send()
            return await self._without(question)
        waiting = _Waiting(question, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._send()
        try:
            decision = await waiting.answer
        except asyncio.CancelledError:
            if waiting.answer.done() and not waiting.answer.cancelled():
                self._undo(waiting.question, waiting.answer.result())
            raise
        return await self._without(question) if decision is None else decision

    def settle(
        self,
        decision: Decision,
        buckets: Buckets,
        changes: Sequence[int],
        slots: Sequence[Slot] = (),
    ) -> None:
        """See `Limiter`."""
        if decision.by is not None:
            self._fallback.settle(decision, buckets, changes, slots)
            return
        for bucket, change in zip(buckets, changes, strict=True):
            if not change:
                continue
            # Not `Bounded`: what is known is kept, and what finds no room is counted as lost.
            if bucket in self._changes or len(self._changes) < self._most_kept:
                self._changes[bucket] += change
            else:
                self.counts.lost += 1
        for slot in slots:
            self._untold.add(slot.name)
            if self._held[slot.name] > 1:
                self._held[slot.name] -= 1
            else:
                del self._held[slot.name]
        self._send_soon()

    async def check(self) -> None:
        """See `Limiter`: asks Redis, and while it is away tries it as soon as that is due."""
        if self._outage.away:
            self._send()
            while self._courier is not None:
                await asyncio.wait([self._courier])
            if self._outage.away:
                raise LimiterError("Redis does not count the limits")
            return
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._execute("PING")
        except Exception as error:
            raise LimiterError("Redis does not answer") from error

    async def run(self, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Tells Redis every now and then what this process still holds; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._fallback.run())
            # In a task that ends in any case: redis-py may swallow a cancellation as it connects.
            tasks.create_task(self._connect())
            while True:
                await sleep(REFRESH_SECONDS)
                self._untold.update(self._held)
                self._send()

    async def close(self) -> None:
        """Tells Redis what is settled, unless it cannot be reached, and lets go."""
        self._send()
        while self._courier is not None:
            await asyncio.wait([self._courier])
        await self._leave()
        await self._fallback.close()

    def _send_soon(self) -> None:
        """Lets the next request's call take pending changes along, or else a timer send them."""
        if self._later is None and self._courier is None:
            with contextlib.suppress(RuntimeError):  # the loop has ended: what is held lapses
                loop = asyncio.get_running_loop()
                self._later = loop.call_later(_SETTLE_SECONDS, self._send)

    def _send(self) -> None:
        """Starts the task that sends what waits, or that tries Redis again when it is time."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._courier is not None:
            return
        due = self._outage.due()
        if self._outage.away:
            if not due:
                return
            work = self._trip(self._probe)
        elif self._waiting or self._changes or self._untold or due:
            work = self._trip(self._carry)
        else:
            return
        self._courier = asyncio.get_running_loop().create_task(work)

    async def _trip(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            self._courier = None

    async def _carry(self) -> None:
        """Calls until there is nothing more to say."""
        while self._waiting or self._changes or self._untold or self._outage.due():
            asked, self._waiting = (
                self._waiting[:_MOST_QUESTIONS],
                self._waiting[_MOST_QUESTIONS:],
            )
            call, told = self._next_call(asked)
            try:
                answer = await self._call(call, self._timeout)
                decided = decisions([waiting.question for waiting in asked], answer)
            except Exception as error:  # noqa: BLE001  # whatever it is, Redis has not counted
                self.counts.lost += told
                self._untold.update(call.slots)  # it may have been heard all the same
                await self._lose(asked, error)
                return
            except BaseException:
                _answer_none(asked)
                raise
            for waiting, decision in zip(asked, decided, strict=True):
                self._deliver(waiting, decision)
            if self._outage.due():
                self._outage.end()
                logger.info(
                    "Redis counts the limits again, for %.0f s without a failure", STEADY_SECONDS
                )

    def _next_call(self, asked: Sequence[_Waiting]) -> tuple[ScriptCall, int]:
        """Returns the call for these requests, and the number of changes in it."""
        call = self._new_call(writing=self._outage.lasts)
        changes = list(self._changes.items())[:_MOST_CHANGES]
        for bucket, change in changes:
            call.change(bucket, change)
            del self._changes[bucket]
        names = list(self._untold)[:_MOST_CHANGES]
        self._untold.difference_update(names)
        for name in names:
            call.hold(name, self._held[name])
        for waiting in asked:
            call.ask(waiting.question, self._held)
        return call, len(changes)

    def _new_call(self, *, writing: bool) -> ScriptCall:
        """Begins a call. `writing` makes it show that Redis takes what is written."""
        self._holder = self._holder or token_hex(8)
        call = ScriptCall(prefix=self._server.prefix, holder=self._holder, lapse_us=self._lapse_us)
        if writing:
            call.change(_PROOF, 1000)
        return call

    async def _call(self, call: ScriptCall, seconds: float) -> bytes:
        self.counts.calls += 1
        arguments = call.arguments()
        async with asyncio.timeout(seconds):
            try:
                answer = await self._execute("EVALSHA", SHA, *arguments)
            except NoScriptError:
                answer = await self._execute("EVAL", SCRIPT, *arguments)
        if not isinstance(answer, bytes):
            raise TypeError(f"Redis answered with {type(answer).__name__}")
        return answer

    def _deliver(self, waiting: _Waiting, decision: Decision) -> None:
        if decision.allowed:
            for slot in waiting.question.slots:
                self._held[slot.name] += 1
        if waiting.answer.done():  # its request was given up
            self._undo(waiting.question, decision)
        else:
            waiting.answer.set_result(decision)

    def _undo(self, question: Question, decision: Decision | None) -> None:
        if decision is not None and decision.allowed:
            given_back = [-cost for cost in question.charged()]
            self.settle(decision, question.buckets, given_back, question.slots)

    async def _lose(self, asked: Sequence[_Waiting], error: Exception) -> None:
        """Begins to do without Redis, first for the requests that wait."""
        self.counts.failures += 1
        if self._outage.fail():
            logger.error(
                "Redis does not count the limits (%s): %s until it does",
                _reason(error),
                "this machine counts its limits alone"
                if self._fail == "open"
                else "requests are refused",
            )
        _answer_none(asked)
        _answer_none(self._waiting)
        self._waiting = []
        await self._leave()

    async def _leave(self) -> None:
        # Closing may wait for a server that is gone; whatever fails now has failed before.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._server.leave()

    async def _connect(self) -> None:
        """Connects before a request has to wait for it, and finds out whether Redis counts."""
        try:
            await self._call(self._new_call(writing=True), _CONNECT_SECONDS)
        except Exception as error:  # noqa: BLE001  # as in `_carry`
            await self._lose((), error)

    async def _probe(self) -> None:
        try:
            await self._call(self._new_call(writing=True), _CONNECT_SECONDS)
            # Connected, it has to be as quick as requests need it.
            await self._call(self._new_call(writing=True), self._timeout)
        except Exception as error:  # noqa: BLE001  # as in `_carry`
            await self._lose((), error)
            return
        self._outage.answer()
        # It may have forgotten what this process holds, or never heard of it.
        self._untold.update(self._held)
        await self._carry()

    async def _without(self, question: Question) -> Decision:
        if self._fail == "closed":
            self.counts.refused += 1
            raise LimiterError("Redis, which counts the limits, cannot be reached")
        self.counts.stood_in += 1
        decision = await self._fallback.take(question.buckets, question.costs, question.slots)
        decision.by = decision.by or self._fallback  # a note of the fallback's own stays
        return decision


def _answer_none(waiting: Sequence[_Waiting]) -> None:
    for one in waiting:
        if not one.answer.done():
            one.answer.set_result(None)


def _reason(error: Exception) -> str:
    """The failure in words, without the URL and its password."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"{type(error).__name__}: {error}"
