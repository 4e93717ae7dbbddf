"""A `Sandbox` in memory: cells end as a test says, and time is a test's."""

from __future__ import annotations

from itertools import count

from anthropic_bedrock_proxy.sandbox.base import (
    CellReply,
    ContainerGoneError,
    ContainerState,
    FileRecord,
    FunctionCall,
    Ran,
    SandboxUnavailableError,
    UnknownFileError,
    Waiting,
)

EXPIRES = 1_796_000_000.0
EXPIRES_AT = "2026-11-30T00:53:20Z"


class FakeSandbox:
    """Outcomes are taken in their order by whoever runs or resumes a cell for the first time."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.containers = {}  # id -> (owner, cells)
        self.ran = []  # (address, cell)
        self.beside = []
        self.files = {}  # (owner, id) -> record
        self.uploads = []  # of each cell that ran
        self.resumed = []  # (address, results)
        self.unavailable, self.soon = None, False
        self.breaks = False  # when a cell is to be resumed
        self._numbers = count(1)

    def new_container(self, file=None):
        return f"container_{next(self._numbers):024x}"

    async def check(self):
        if self.unavailable is not None:
            raise SandboxUnavailableError(self.unavailable, soon=self.soon)

    async def look(self, container, owner):
        await self.check()
        return ContainerState(EXPIRES, list(self._cells(container, owner)))

    async def run(self, at, cell, *, create, uploads=(), beside=()):
        if create:
            self.containers.setdefault(at.container, (at.owner, {}))
        cells = self._cells(at.container, at.owner)
        if at.cell not in cells:
            self.ran.append((at, cell))
            self.beside.append(list(beside))
            self.uploads.append(list(uploads))
            cells[at.cell] = self._next()
        elif cells[at.cell] == Waiting([]):  # the cell before it may have ended
            cells[at.cell] = self._next()
        return CellReply(EXPIRES, cells[at.cell])

    async def resume(self, at, results):
        if self.breaks:
            raise SandboxUnavailableError("it broke", soon=True)
        cells = self._cells(at.container, at.owner)
        if at.cell not in cells:
            raise ContainerGoneError
        self.resumed.append((at, list(results)))
        cells[at.cell] = self._next()
        return CellReply(EXPIRES, cells[at.cell])

    def keep(self, owner, name, filename="sales.csv", size=2048):
        self.files[owner, name] = FileRecord(
            id=name,
            filename=filename,
            mime_type="text/csv",
            size_bytes=size,
            created_at=0.0,
            downloadable=False,
        )

    async def file(self, owner, name):
        await self.check()
        if (owner, name) not in self.files:
            raise UnknownFileError
        return self.files[owner, name]

    async def close(self):
        self.containers.clear()

    def _next(self):
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _cells(self, container, owner):
        theirs, cells = self.containers.get(container, (None, {}))
        if theirs != owner:
            raise ContainerGoneError
        return cells


def printed(words, stderr="", return_code=0, **more):
    return Ran(words, stderr, return_code, **more)


def waiting(**calls):
    """`Waiting` for calls by id: their name and input."""
    return Waiting([FunctionCall(key, name, given) for key, (name, given) in calls.items()])
