"""Balancers in front of several servers: a small one for TCP, HAProxy and nginx.

Each is a context manager that yields its port. `ports` are those of the servers.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from parts import program
from ports import free_port
from servers import wait_for

CHECK_SECONDS = 0.2


@asynccontextmanager
async def tcp(ports, folder) -> AsyncIterator[int]:
    """Passes bytes on to the servers that said 200 to GET /ready when they were last asked."""
    ready, turns, serving = set(), itertools.count(), set()

    async def check(port):
        while True:
            if await _is_ready(port):
                ready.add(port)
            else:
                ready.discard(port)
            await asyncio.sleep(CHECK_SECONDS)

    async def connect():
        choices = sorted(ready)
        for number in itertools.islice(turns, len(choices)):
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", choices[number % len(choices)])
        raise ConnectionRefusedError

    async def pump(reader, writer):
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    async def serve(reader, writer):
        try:
            to_server, from_us = await connect()
        except ConnectionRefusedError:
            writer.close()
            return
        serving.add(task := asyncio.current_task())
        try:
            await asyncio.gather(pump(reader, from_us), pump(to_server, writer))
        finally:
            serving.discard(task)
            for each in (writer, from_us):
                each.close()

    checks = [asyncio.create_task(check(port)) for port in ports]
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        while len(ready) < len(ports):
            await asyncio.sleep(0.01)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            ended = [*checks, *serving]
            for task in ended:
                task.cancel()
            await asyncio.gather(*ended, return_exceptions=True)
            await asyncio.sleep(0)  # what was closed ends


async def _is_ready(port):
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /ready HTTP/1.1\r\nhost: check\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    except OSError:
        return False
    return b" 200 " in answer[:15]


_HAPROXY = """
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    retries 3
    option redispatch
listen front
    bind 127.0.0.1:{port}
    balance roundrobin
    http-reuse always
    option httpchk GET /ready
    default-server check inter {check}ms fall 1 rise 1
{servers}
"""


@asynccontextmanager
async def haproxy(ports, folder: Path) -> AsyncIterator[int]:
    """HAProxy, which asks /ready, and keeps connections for requests of whichever client."""
    path, port = program("haproxy"), free_port()
    servers = "\n".join(f"    server s{each} 127.0.0.1:{each}" for each in ports)
    text = _HAPROXY.format(port=port, check=int(CHECK_SECONDS * 1000), servers=servers)
    (folder / "haproxy.cfg").write_text(text)
    async with _running([path, "-db", "-f", folder / "haproxy.cfg"], folder, port):
        yield port


_NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream proxies {{
        {servers}
        keepalive 32;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://proxies;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


@asynccontextmanager
async def nginx(ports, folder: Path) -> AsyncIterator[int]:
    """nginx, which learns that a server has gone from its closed port, and keeps connections."""
    path, port = program("nginx"), free_port()
    servers = " ".join(f"server 127.0.0.1:{each} fail_timeout=1s;" for each in ports)
    (folder / "nginx.conf").write_text(
        _NGINX.format(folder=folder, port=port, servers=servers), encoding="utf-8"
    )
    async with _running([path, "-c", folder / "nginx.conf"], folder, port):
        yield port


@asynccontextmanager
async def _running(command, folder, port):
    with (folder / "balancer.txt").open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=said, stderr=said, cwd=folder
        )
    try:
        await asyncio.to_thread(wait_for, lambda: _listens(port), f"{command[0]} listens")
        await asyncio.sleep(2 * CHECK_SECONDS)  # for its first checks
        yield
    finally:
        process.terminate()
        await process.wait()


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False
