"""The two imitations of DynamoDB that the store is tested against, each started once and for all.

dynalite knows no TTL and no transactions, moto checks less; so every request is also checked
against AWS's own model of the service. A test gets tables of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from secrets import token_hex

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator
from ports import free_port

from anthropic_bedrock_proxy.aws.connect import Endpoint, connector
from anthropic_bedrock_proxy.aws.credentials import StaticSource
from anthropic_bedrock_proxy.aws.dynamodb import DynamoDB, DynamoDBError
from anthropic_bedrock_proxy.aws.http import Pool
from anthropic_bedrock_proxy.aws.sigv4 import Credentials
from anthropic_bedrock_proxy.store.dynamodb.schema import create_tables
from anthropic_bedrock_proxy.store.dynamodb.store import DynamoDBStore, TableNames

NODE_MODULES = Path(__file__).parents[1] / "e2e" / "clients" / "node_modules"
KEYS = Credentials("AKIDIMITATION", "imitation-secret")
REGION = "us-east-1"
LONGEST_EXPRESSION = 4096
WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")
SERVERS = ("dynalite", "moto")
_START_SECONDS = 30.0


@cache
def server(kind: str) -> str:
    """The address of a running server, "dynalite" or "moto"; skips the test where it is not."""
    return _started(*{"dynalite": _dynalite, "moto": _moto}[kind]())


class CheckedDynamoDB(DynamoDB):
    """Refuses what the model of the service does not know."""

    async def call(self, operation, request):
        """See `DynamoDB.call`."""
        shape = _model().operation_model(operation).input_shape
        report = ParamValidator().validate(request, shape)
        assert not report.has_errors(), report.generate_report()
        for name, value in request.items():
            if name.endswith("Expression"):  # which no imitation counts
                assert len(value.encode()) <= LONGEST_EXPRESSION, f"{name}: {value}"
        return await super().call(operation, request)


class TwiceDynamoDB(CheckedDynamoDB):
    """As if the answer to every write were lost, and the write sent again."""

    async def call(self, operation, request):
        """See `DynamoDB.call`."""
        if operation in WRITES:
            with contextlib.suppress(DynamoDBError):
                await super().call(operation, request)
        return await super().call(operation, request)


class BreakingDynamoDB(CheckedDynamoDB):
    """Does so many writes, and from then on nothing: like a process that is killed."""

    def __init__(self, *arguments, writes: int, **options) -> None:
        super().__init__(*arguments, **options)
        self.left = writes

    async def call(self, operation, request):
        """See `DynamoDB.call`."""
        if operation in WRITES:
            if not self.left:
                raise DynamoDBError("Broken", "off")
            self.left -= 1
        return await super().call(operation, request)


class UnsteadyDynamoDB(CheckedDynamoDB):
    """Fails calls to some tables before or after they are done, and does some writes twice."""

    def __init__(self, *arguments, chance: Random, tables: tuple[str, ...], **options) -> None:
        super().__init__(*arguments, **options)
        self.chance, self.tables = chance, tables

    async def call(self, operation, request):
        """See `DynamoDB.call`."""
        table = request.get("TableName") or next(iter(request["RequestItems"]))
        fault = self.chance.choice(("before", "after", "twice", *("none",) * 7))
        if fault == "none" or not table.endswith(self.tables):
            return await super().call(operation, request)
        if fault == "before":
            raise DynamoDBError("ThrottlingException", "try again")
        answer = await super().call(operation, request)
        if fault == "after":
            raise DynamoDBError("Unreachable", "no answer")
        if operation in WRITES:
            with contextlib.suppress(DynamoDBError):
                await super().call(operation, request)
        return answer


def client(url: str, kind: type[DynamoDB] = CheckedDynamoDB, **options) -> DynamoDB:
    """A client of a server, in the running loop."""
    endpoint = Endpoint.from_url(url)
    pool = Pool(connector(endpoint))
    return kind(pool, endpoint, region=REGION, credentials=StaticSource(KEYS), **options)


@cache
def _model():
    return ServiceModel(Loader().load_service_model("dynamodb", "service-2"))


def fresh_names() -> TableNames:
    """Names that no other test has."""
    prefix = f"t{token_hex(6)}"
    return TableNames(**{kind: f"{prefix}-{kind}" for kind in TableNames.__struct_fields__})


@asynccontextmanager
async def connected(kind: str, **options) -> AsyncIterator[tuple[DynamoDB, TableNames]]:
    """A client of a server, and the names of empty tables there."""
    dynamo, names = client(server(kind), **options), fresh_names()
    try:
        await create_tables(dynamo, names)
        yield dynamo, names
    finally:
        await dynamo.close()


@asynccontextmanager
async def dynamo_store(
    kind: str, speaking: type[DynamoDB] = CheckedDynamoDB, **options
) -> AsyncIterator[DynamoDBStore]:
    """An open, empty store on a server."""
    async with connected(kind) as (_, names):
        store = DynamoDBStore(lambda: client(server(kind), speaking), names, **options)
        await store.open()
        try:
            yield store
        finally:
            await store.close()


def _dynalite() -> tuple[int, list[str]]:
    node, script = shutil.which("node"), NODE_MODULES / "dynalite" / "cli.js"
    if node is None or not script.exists():
        pytest.skip("dynalite needs node, and `npm ci` in tests/e2e/clients")
    port = free_port()
    times = [f"--{what}TableMs=0" for what in ("create", "update", "delete")]
    return port, [node, str(script), "--host", "127.0.0.1", "--port", str(port), *times]


def _moto() -> tuple[int, list[str]]:
    if any(find_spec(name) is None for name in ("moto", "flask", "flask_cors")):
        pytest.skip("moto with its server is not installed")
    port = free_port()
    return port, [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]


def _started(port: int, command: list[str]) -> str:
    # Without the coverage of `make check`: it makes moto too slow for what the tests wait for.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    atexit.register(_stop, process)
    deadline = time.monotonic() + _START_SECONDS
    while not _listening(port):
        assert process.poll() is None, f"{command} ended"
        assert time.monotonic() < deadline, f"{command} does not listen"
        time.sleep(0.05)
    return f"http://127.0.0.1:{port}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
