"""Usage on its way into DynamoDB: rows per second, and the units that 1 000 messages cost.

    python -m bench.dynamodb [--only speed|units] [--latency 0.005] [--messages 1000]

Speed: a journal of one process is drained into a store that answers every call after 5 ms
(`fake_dynamodb.py`). Units: four processes (two machines with two workers) deliver in turns what a
second of 100 messages brings, into dynalite, which tells what it would bill for an item
(`ReturnConsumedCapacity`); what is written to an index is added by the same rule. A message has a
user and a team, each its key's own, or neither.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter, process_time, sleep, time
from typing import Any, Final

import uvloop

from anthropic_bedrock_proxy.aws.connect import Endpoint, connector
from anthropic_bedrock_proxy.aws.credentials import StaticSource
from anthropic_bedrock_proxy.aws.dynamodb import DynamoDB
from anthropic_bedrock_proxy.aws.http import Pool
from anthropic_bedrock_proxy.aws.sigv4 import Credentials
from anthropic_bedrock_proxy.store.base.usage import UsageRecord
from anthropic_bedrock_proxy.store.dynamodb.schema import create_tables
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore, TableNames
from anthropic_bedrock_proxy.store.journal import Journal

from .processes import child, environment, free_port
from .table import Row, render

_ROOT: Final = Path(__file__).resolve().parent.parent
_DYNALITE: Final = _ROOT / "tests/e2e/clients/node_modules/dynalite/cli.js"
_WRITERS: Final = 4
_PER_DRAIN: Final = 25  # messages of one process in a second
_BEGAN_MS: Final = 1_795_996_800_000
# Dollars per million, on demand in us-east-1: https://aws.amazon.com/dynamodb/pricing/on-demand/
_WRITE_DOLLARS: Final = 0.625
_READ_DOLLARS: Final = 0.125
_SPEED: Final = ("rows/s", "CPU us/row", "loop kept ms")
_READS: Final = frozenset(("GetItem", "BatchGetItem", "Query", "Scan"))


class Metered(DynamoDB):
    """Adds up what the calls would be billed."""

    indexes = 0  # of the usage table, on an attribute that every row has
    names = TableNames()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.units = {"write": 0.0, "read": 0.0}

    async def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """See `DynamoDB.call`."""
        if operation == "DescribeTable":
            return await super().call(operation, request)
        answer = await super().call(operation, {**request, "ReturnConsumedCapacity": "TOTAL"})
        consumed = answer.get("ConsumedCapacity", [])
        parts = consumed if isinstance(consumed, list) else [consumed]
        kind = "read" if operation in _READS else "write"
        self.units[kind] += sum(part["CapacityUnits"] for part in parts)
        if operation == "BatchWriteItem":
            for written in request["RequestItems"].get(self.names.usage, ()):
                item = written["PutRequest"]["Item"]
                self.units["write"] += self.indexes * ceil(_size(item) / 1024)
        return answer


def _size(item: dict[str, Any]) -> int:
    """The bytes of an item of texts, numbers and booleans, as AWS counts them."""
    return sum(len(name) + _size_of(*value.items()) for name, value in item.items())


def _size_of(pair: tuple[str, Any]) -> int:
    kind, value = pair
    if kind == "N":
        return 1 + ceil(len(value.strip("-0.")) / 2)
    return len(value.encode()) if kind == "S" else 1


def record_of(number: int, keys: int, *, owned: bool) -> UsageRecord:
    """A request as the proxy writes it down."""
    key = number % keys
    return UsageRecord(
        id=f"req_{_BEGAN_MS + number:011x}{number:08x}",
        key_id=f"key_{key:016x}",
        at_ms=_BEGAN_MS + number % 1000,
        model="claude-sonnet-4-5-20250929",
        bedrock_model_id="global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        dialect="invoke",
        stream=True,
        input_tokens=1234 + number % 100,
        output_tokens=567,
        cache_read_input_tokens=20_000,
        cache_creation_input_tokens=800,
        cache_creation_5m_input_tokens=800,
        latency_ms=4321,
        ttft_ms=876,
        cost_nano=23_456_789,
        user_id=f"user-{key:012x}" if owned else None,
        team_id=f"team-{key:012x}" if owned else None,
        upstream_request_id="0f0e0d0c-0b0a-0908-0706-050403020100",
    )


def client(port: int) -> Metered:
    """A client of a server on this machine."""
    endpoint = Endpoint.from_url(f"http://127.0.0.1:{port}")
    keys = StaticSource(Credentials("AKIDIMITATION", "imitation-secret"))
    return Metered(Pool(connector(endpoint)), endpoint, region="us-east-1", credentials=keys)


async def speed(port: int, keys: int, *, records: int, owned: bool) -> tuple[float, float, float]:
    """Returns the rows per second of a drain, its CPU per row, and how long it kept the loop."""
    store = DynamoDBStore(lambda: client(port))
    await store.open()
    with TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        for number in range(records):
            journal.append(record_of(number, keys, owned=owned))
        lags: list[float] = []
        ticking = asyncio.create_task(tick(lags))
        began, cpu = perf_counter(), process_time()
        await journal.drain(store.usage)
        seconds, cpu = perf_counter() - began, process_time() - cpu
        ticking.cancel()
    await store.close()
    return records / seconds, cpu / records * 1e6, max(lags) * 1000


async def tick(lags: list[float]) -> None:
    """Notes by how much a millisecond's sleep was late."""
    while True:
        began = perf_counter()
        await asyncio.sleep(0.001)
        lags.append(perf_counter() - began - 0.001)


async def units(
    port: int, keys: int, *, messages: int, owned: bool, restarts: int = 0
) -> dict[str, float]:
    """Returns the units of a thousand messages, after so many processes an hour ago."""
    setting_up = client(port)
    table = f"{keys}-{owned}-{restarts}"
    names = TableNames(**{kind: f"{table}-{kind}" for kind in TableNames.__struct_fields__})
    await create_tables(setting_up, names)
    await live_and_end(port, names, keys, restarts, owned=owned)
    usage = await setting_up.call("DescribeTable", {"TableName": names.usage})
    indexes = len(usage["Table"].get("GlobalSecondaryIndexes", ()))
    await setting_up.close()
    clients: list[Metered] = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        writers: list[tuple[Journal, DynamoDBStore]] = []
        for number in range(_WRITERS):
            clients.append(one := client(port))
            one.indexes, one.names = indexes, names
            store = DynamoDBStore(lambda one=one: one, names)  # type: ignore[misc]
            await store.open()
            stack.push_async_callback(store.close)
            (folder / str(number)).mkdir()
            writers.append((Journal(folder / str(number)), store))
        for begin in range(0, messages, _PER_DRAIN):
            journal, store = writers[begin // _PER_DRAIN % _WRITERS]
            for number in range(begin, begin + _PER_DRAIN):
                journal.append(record_of(number, keys, owned=owned))
            await journal.drain(store.usage)
    return {
        kind: sum(one.units[kind] for one in clients) / messages * 1000
        for kind in ("write", "read")
    }


async def live_and_end(
    port: int, names: TableNames, keys: int, processes: int, *, owned: bool
) -> None:
    """Lets one process after another deliver a message of each key, an hour ago."""
    store = DynamoDBStore(lambda: client(port), names, now=lambda: time() - 3600)
    await store.open()
    with TemporaryDirectory() as folder:
        for process in range(processes):
            journal = Journal(Path(folder))
            for number in range(keys):
                earlier = 1_000_000 * keys + process * keys + number
                journal.append(record_of(earlier, keys, owned=owned))
            await journal.close(store.usage)
    await store.close()


def speeds(latency: float, *, records: int) -> list[Row]:
    """Rows per second for few keys and for many."""
    rows: list[Row] = []
    with server([sys.executable, "-m", "bench.fake_dynamodb", str(latency)]) as port:
        for owned in (False, True):
            for keys in (1, 10, 100, 500, records):
                found = uvloop.run(speed(port, keys, records=records, owned=owned))
                values: dict[str, Any] = dict(zip(_SPEED, found, strict=True))
                rows.append(Row(_named(keys, records, owned=owned), "", values))
    return rows


def costs(*, messages: int) -> list[Row]:
    """Units of a thousand messages and dollars of a million, for few keys and for many."""
    rows: list[Row] = []
    port = free_port()
    command = ["node", str(_DYNALITE), "--host", "127.0.0.1", "--port", str(port)]
    times = [f"--{what}TableMs=0" for what in ("create", "update", "delete")]
    with server([*command, *times], port):
        for owned in (False, True):
            for keys, restarts in ((1, 0), (10, 0), (100, 0), (messages, 0), (10, 64)):
                found = asyncio.run(
                    units(port, keys, messages=messages, owned=owned, restarts=restarts)
                )
                dollars = (found["write"] * _WRITE_DOLLARS + found["read"] * _READ_DOLLARS) / 1000
                values = {"write units": found["write"], "read units": found["read"]}
                texts = {"$ per million": f"{dollars:.2f}"}
                name = _named(keys, messages, owned=owned) + ", 64 restarts" * (restarts > 0)
                rows.append(Row(name, "", values | texts))
    return rows


def _named(keys: int, messages: int, *, owned: bool) -> str:
    name = "a key for each" if keys == messages else f"{keys} key" + "s" * (keys > 1)
    return name + ", user, team" * owned


@contextmanager
def server(command: list[str], port: int | None = None) -> Iterator[int]:
    """Runs a server; it tells its port unless it was told one."""
    outputs = {"stdout": subprocess.PIPE, "stderr": sys.stderr.fileno()}
    with child(command, env=environment(), cwd=_ROOT, **outputs) as process:  # type: ignore[arg-type]
        if port is None and process.stdout is not None:
            port = int(process.stdout.readline())
        yield listening(port or 0)


def listening(port: int) -> int:
    """Waits until somebody listens on `port`, and returns it."""
    deadline = monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return port
        if monotonic() > deadline:
            raise RuntimeError(f"nobody listens on {port}")
        sleep(0.05)


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("speed", "units"))
    parser.add_argument("--latency", type=float, default=0.005, help="seconds a call takes")
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--records", type=int, default=5000, help="that are behind, for the speed")
    options = parser.parse_args()
    if options.only != "units":
        rows = speeds(options.latency, records=options.records)
        print(render(rows, _SPEED), flush=True)
    if options.only != "speed":
        rows = costs(messages=options.messages)
        print(render(rows, ["write units", "read units", "$ per million"]))


if __name__ == "__main__":
    main()
