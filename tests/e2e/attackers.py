"""Attackers and their neighbour: cells of both at one real executor, with the real runner.

Each attack is made in a container of its own beside a neighbour's, who has a variable and a file,
and is asked for both meanwhile and after. An attack ends within its time as the outcome of a cell;
the attacker's next cell works, or what became of the container is said.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools

from sandboxes import TOKEN, RunningSandboxd, descendants, living
from servers import wait_for
from walls import containers

from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.base import (
    BashCell,
    CellAddress,
    ContainerGoneError,
    Failed,
    PythonCell,
    Ran,
)
from anthropic_bedrock_proxy.sandbox.client import SandboxClient
from anthropic_bedrock_proxy.sandbox.connection import ExecutorConnection

SECONDS = 25  # for an attack: of code, of the grace after it, and of a busy machine
ANSWER_SECONDS = 5  # for the neighbour
SECRET = "secret-of-the-host"
KEPT = "kept by the neighbour"
LIMITS = {
    "PTC_EXECUTION_TIMEOUT": "2",
    "STANDALONE_BASH_TIMEOUT": "2",
    "PTC_MEMORY_LIMIT": "128m",
    "PTC_PIDS_LIMIT": "48",
    "SANDBOX_DISK_LIMIT": "32m",
    "SANDBOX_IDLE_SECONDS": "300",
    "SANDBOX_WARM": "2",
}
_numbers = itertools.count(1)


class Place:
    """An executor with a neighbour in it."""

    def __init__(self, executor, kind):
        self.executor = executor
        self.kind = kind
        self.asked = 0
        self.neighbour = None
        self.folder = ""  # of the neighbour, as it sees it

    @contextlib.asynccontextmanager
    async def client(self):
        reached = ExecutorConnection(ExecutorAddress.from_url(self.executor.url), TOKEN)
        client = SandboxClient([reached])
        try:
            yield client
        finally:
            await client.close()

    async def move_in(self):
        code = f"import os\nkept, asked = 42, 0\nopen('kept.txt', 'w').write({KEPT!r})\n"
        async with self.client() as client:
            self.neighbour = CellAddress(client.new_container(), "neighbour", "first")
            cell = PythonCell(code + "print(os.getcwd())")
            moved = await client.run(self.neighbour, cell, create=True)
        self.folder = moved.outcome.stdout.strip()

    def tell(self, code):
        """What the neighbour's own code prints."""

        async def main():
            async with self.client() as client:
                at = CellAddress(self.neighbour.container, "neighbour", f"cell_{next(_numbers)}_")
                return (await client.run(at, PythonCell(code), create=False)).outcome.stdout

        return asyncio.run(main())

    async def ask(self, client):
        """The neighbour answers in time, and with what it has kept."""
        self.asked += 1
        at = CellAddress(self.neighbour.container, "neighbour", f"cell_{self.asked}")
        cell = PythonCell("asked += 1\nprint(kept, asked, open('kept.txt').read())")
        async with asyncio.timeout(ANSWER_SECONDS):
            reply = await client.run(at, cell, create=False)
        assert reply.outcome == Ran(f"42 {self.asked} {KEPT}\n", "", 0)


def attack_all(place, attackers, *, upload=None):
    """The outcomes of each attacker's cells: in a container of its own, all at once.

    The neighbour is asked meanwhile, and after the end of each. The last cells get the upload.
    """

    async def main():
        async with place.client() as client:
            files = []
            if upload is not None:
                record = await client.upload("attacker", *upload, "application/octet-stream")
                files.append(record.id)
            begun = {
                name: asyncio.create_task(strike(client, cells, files))
                for name, cells in attackers.items()
            }
            pending = {*begun.values()}
            while pending:
                await asyncio.wait(pending, timeout=0.2, return_when=asyncio.FIRST_COMPLETED)
                pending = {task for task in pending if not task.done()}
                await place.ask(client)
            return {name: task.result() for name, task in begun.items()}

    outcomes = asyncio.run(main())
    wait_for(lambda: place.executor.state()["containers"] == 1, "only the neighbour is left")
    return outcomes


async def strike(client, cells, files):
    container = client.new_container()
    try:
        outcomes = [await run(client, container, cell) for cell in cells[:-1]]
        outcomes.append(await run(client, container, cells[-1], files))
        await go_on(client, container)
    finally:
        with contextlib.suppress(ContainerGoneError):
            await client.remove(container, "attacker")
    return outcomes


async def run(client, container, cell, uploads=(), *, create=True):
    at = CellAddress(container, "attacker", f"cell_{next(_numbers)}")
    async with asyncio.timeout(SECONDS):
        return (await client.run(at, cell, create=create, uploads=uploads)).outcome


async def go_on(client, container):
    """A cell works, sooner or later; until then each failure says what to do, and that is done.

    What bash has left in the background may take all room: a restart of bash ends it. What was
    killed a moment ago may still take room, so a restart may have to be asked for again.
    """
    cell = PythonCell("print('well')")
    try:
        async with asyncio.timeout(SECONDS):
            while isinstance(outcome := await run(client, container, cell, create=False), Failed):
                no_room = "cannot begin" in outcome.message
                assert no_room or "all files and names in it are lost" in outcome.message, outcome
                cell = BashCell("echo well", True) if no_room else PythonCell("print('well')")
    except ContainerGoneError:  # the runner has ended between cells
        return
    assert outcome.stdout == "well\n", outcome


def python(place, code, **options):
    """The outcome of one attack in Python."""
    return attack_all(place, {"": [PythonCell(code)]}, **options)[""][0]


def pythons(place, codes):
    """The outcomes of several, each in a container of its own."""
    attackers = {name: [PythonCell(code)] for name, code in codes.items()}
    return {name: outcomes[0] for name, outcomes in attack_all(place, attackers).items()}


def bash(place, command):
    """The outcome of one attack in bash."""
    return attack_all(place, {"": [BashCell(command)]})[""][0]


def ended(outcome):
    """Whether the attacker alone has lost its sandbox, or its interpreter."""
    return (
        outcome.error_code in {"unavailable", "execution_time_exceeded"}
        if isinstance(outcome, Failed)
        else outcome.return_code > 128 or outcome.timed_out
    )


@contextlib.contextmanager
def besieged(folder, kind):
    """A place with a neighbour; at its end no process and no container is left."""
    (folder / "secret.txt").write_text(SECRET)
    with RunningSandboxd(folder, kind, SOME_SECRET=SECRET, **LIMITS) as executor:
        made = Place(executor, kind)
        asyncio.run(made.move_in())
        yield made
        left = descendants(executor.process.pid)
        assert left or containers(executor.name)
        assert executor.stop() == 0, executor.logged()
        wait_for(lambda: not living(left), "no process is left")
        if kind == "docker":
            assert containers(executor.name) == set()
