"""A real executor on a unix socket, over the fake isolation, and clients of it."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from fake_isolation import FakeIsolation

from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.client import SandboxClient
from anthropic_bedrock_proxy.sandbox.connection import ExecutorConnection
from anthropic_bedrock_proxy.sandbox.executor.process import ExecutorOptions, bind, executing
from anthropic_bedrock_proxy.sandbox.executor.server import ExecutorServer

PROGRAM = b"{}"


class RunningExecutor:
    """An executor that serves; `client()` makes a client, which is closed at the end."""

    def __init__(self, address, isolation, parts, token) -> None:
        self.address = address
        self.isolation = isolation
        self.parts = parts
        self.token = token
        self._clients = []

    def connection(self, **options) -> ExecutorConnection:
        return ExecutorConnection(self.address, options.pop("token", self.token), **options)

    def client(self, **options) -> SandboxClient:
        self._clients.append(SandboxClient([self.connection(**options)]))
        return self._clients[-1]

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


@asynccontextmanager
async def running_executor(*, url=None, token=None, isolation=None, server=None, **options):
    """Runs an executor in this event loop; on a unix socket of its own unless `url` says else."""
    with tempfile.TemporaryDirectory() as folder:
        address = ExecutorAddress.from_url(url or f"unix://{Path(folder, 'executor.sock')}")
        isolation = isolation or FakeIsolation()
        made = ExecutorOptions(listen=address, token=token, **{"warm": 0, **options})
        if address.path is None:  # a free port
            address = msgspec.structs.replace(address, port=0)
        listener = bind(address, token)
        if address.path is None:
            address = msgspec.structs.replace(address, port=listener.getsockname()[1])
        async with executing(made, isolation, PROGRAM) as parts:
            serving = ExecutorServer(parts, token, **(server or {}))
            await serving.open(listener)
            running = RunningExecutor(address, isolation, parts, token)
            try:
                yield running
            finally:
                await running.close()
                await parts.containers.close()
                await serving.close()


async def until(condition, seconds=20.0) -> None:
    """Waits until something holds that no event tells of."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
