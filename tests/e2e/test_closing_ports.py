"""Whoever could connect is served, up to the moment when nobody can."""

from __future__ import annotations

import asyncio
import signal
import ssl
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from servers import PYTHON, clean_environment

TLS = Path(__file__).parents[1] / "support" / "tls"
GET = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
CLIENTS = 30


async def knock(connect, outcomes):
    """Asks on one new connection after the other, until none can be made."""
    while True:
        try:
            reader, writer = await connect()
        except (ConnectionRefusedError, FileNotFoundError):
            outcomes["refused"] += 1
            return
        except OSError as error:  # reset in the handshake of TLS
            outcomes[f"lost: {error!r}"] += 1
            continue
        try:
            writer.write(GET)
            head = await reader.readuntil(b"\r\n\r\n")
            outcomes[head[9:12].decode()] += 1
        except (OSError, asyncio.IncompleteReadError) as error:
            outcomes[f"lost: {error!r}"] += 1
        finally:
            writer.close()


@pytest.mark.parametrize("delay", ["0", "0.5"])
@pytest.mark.parametrize("workers", ["1", "3"])
@pytest.mark.parametrize("kind", ["port", "tls", "unix"])
def test_who_could_connect_is_served(tmp_path, kind, workers, delay):
    path = tmp_path / "p.sock"
    settings = {
        "AWS_BEARER_TOKEN_BEDROCK": "t",
        "STORE_URL": "memory://",
        "WORKERS": workers,
        "SHUTDOWN_DELAY": delay,
        "PORT": "0",
    }
    if kind == "unix":
        settings["HOST"] = f"unix://{path}"
    if kind == "tls":
        settings |= {"TLS_CERT_FILE": TLS / "server.pem", "TLS_KEY_FILE": TLS / "server.key"}

    async def main():
        context = ssl.create_default_context(cafile=TLS / "server.pem") if kind == "tls" else None
        process = await asyncio.create_subprocess_exec(
            *(PYTHON, "-m", "anthropic_bedrock_proxy", "serve"),
            cwd=tmp_path,
            env=clean_environment(tmp_path, **settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        line = b""
        while b"listening" not in line:
            line = await process.stdout.readline()
        port = line.split(b":")[-1].strip()

        def connect():
            if kind == "unix":
                return asyncio.open_unix_connection(path)
            host = "localhost" if context else "127.0.0.1"
            return asyncio.open_connection(host, int(port), ssl=context)

        outcomes = Counter()
        clients = [asyncio.create_task(knock(connect, outcomes)) for _ in range(CLIENTS)]
        while outcomes["200"] < 200:
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            await asyncio.gather(*clients)
            await process.communicate()
        assert process.returncode == 0
        return outcomes

    outcomes = asyncio.run(main())
    assert set(outcomes) == {"200", "refused"}, outcomes
    assert outcomes["refused"] == CLIENTS
