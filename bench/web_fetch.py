"""Memory and time of pages: `python -m bench.web_fetch`, with the extra `web`.

A server of its own process sends 50 MB, in several ways, to a fetcher whose cap is 10 MiB, as the
default is; what the process has grown by at its peak is the cost of such a page. Each way gets a
process of its own, because a peak does not go down again. Then pages of several sizes are read by
the child process: the time of each, and the memory that the child has.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import statistics
import sys
import time
from pathlib import Path

from anthropic_bedrock_proxy.fetch.base import Fetched, FetchError
from anthropic_bedrock_proxy.fetch.fetcher import FetchOptions, WebFetcher
from anthropic_bedrock_proxy.fetch.reading.pages import ACCEPTED
from anthropic_bedrock_proxy.fetch.reading.reader import PageReader, reader_environ

from .processes import load_average

_CAP = 10 * 1024 * 1024
_PIECE = b"x" * 1_000_000
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n"
_WAYS = {
    "9 MB, which is served": (_HEAD + b"content-length: 9000000\r\n\r\n", _PIECE, 9),
    "50 MB that say so": (_HEAD + b"content-length: 50000000\r\n\r\n", _PIECE, 50),
    "50 MB until the end": (_HEAD + b"\r\n", _PIECE, 50),
    "50 MB in chunks": (
        _HEAD + b"transfer-encoding: chunked\r\n\r\n",
        b"f4240\r\n" + _PIECE + b"\r\n",
        50,
    ),
    "50 MB in chunks of two bytes": (
        _HEAD + b"transfer-encoding: chunked\r\n\r\n",
        b"2\r\nxx\r\n" * 140_000,
        50,
    ),
}
_SIZES = (10_000, 100_000, 1_000_000, 2_500_000, 9_000_000)
_ROUNDS = 5


async def _fetch_from_itself(way: str, ports: multiprocessing.Queue[int]) -> str:
    """Fetches once from the server at the port that comes; returns what became of it."""
    fetcher = WebFetcher(
        FetchOptions(allow_http=True, allow_private=True, allowed_ports=(ports.get(),))
    )
    port = fetcher._options.allowed_ports[0]  # noqa: SLF001  # the one above
    # One that is small comes first, so that what is loaded once is not counted.
    with_url = [f"http://127.0.0.1:{port}/small", f"http://127.0.0.1:{port}/{way}"]
    said = ""
    before = 0
    for url in with_url:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            fetched = await fetcher.fetch(url, accept=ACCEPTED, max_bytes=_CAP, key="k")
            said = f"{len(fetched.body)} bytes"
        except FetchError as error:
            said = error.reason
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fetcher.close()
    return f"{(after - before) / 1024:.1f} MiB | {said}"


def _client(way: str, ports: multiprocessing.Queue[int], told: multiprocessing.Queue[str]) -> None:
    told.put(asyncio.run(_fetch_from_itself(way, ports)))


async def _serve(way: str, ports: multiprocessing.Queue[int], ended: asyncio.Event) -> None:
    start, piece, times = _WAYS[way]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        try:
            if b"/small" in request:
                writer.write(_HEAD + b"content-length: 1\r\n\r\nx")
            else:
                writer.write(start)
                for _ in range(times):
                    writer.write(piece)
                    await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    ports.put(server.sockets[0].getsockname()[1])
    await ended.wait()
    server.close()


async def _measure(way: str) -> str:
    spawning = multiprocessing.get_context("spawn")
    ports: multiprocessing.Queue[int] = spawning.Queue()
    told: multiprocessing.Queue[str] = spawning.Queue()
    ended = asyncio.Event()
    server = asyncio.create_task(_serve(way, ports, ended))
    client = spawning.Process(target=_client, args=(way, ports, told))
    client.start()
    said = await asyncio.to_thread(told.get)
    client.join()
    ended.set()
    await server
    return said


def _page(size: int) -> bytes:
    parts, length, number = [], 0, 0
    while length < size:
        number += 1
        parts.append(
            f"<p>Paragraph {number} with <a href='/{number}'>a link</a>, some <b>bold</b> words "
            f"and enough of others to be taken for a text that somebody has written.</p>\n"
        )
        length += len(parts[-1])
    return f"<title>t</title><article>{''.join(parts)}</article>".encode()


def _resident(pid: int) -> str:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return status.partition("VmRSS:")[2].split("\n")[0].strip()


async def _read_pages() -> None:
    print("\npage of | read in | text | memory of the child")
    for size in _SIZES:
        reader = PageReader(reader_environ(os.environ))
        await reader.read(Fetched(_page(1000), "text/html", "https://a.example/"), "k")
        page = Fetched(_page(size), "text/html", "https://a.example/")
        took, text, memory = [], 0, "it ended"
        for _ in range(_ROUNDS):
            began = time.perf_counter()
            answer = await reader.read(page, "k")
            took.append(time.perf_counter() - began)
            text = len(answer.text or "")
            if reader.pid is not None:
                memory = _resident(reader.pid)
        await reader.close()
        print(f"{size} bytes | {statistics.median(took) * 1000:.1f} ms | {text} | {memory}")


async def _all() -> None:
    print("a page of | grown by, at the peak | what came of it")
    for way in _WAYS:
        print(f"{way} | {await _measure(way)}", flush=True)
    await _read_pages()
    print(f"load average {load_average()}")


def main() -> int:
    """Measures and prints two tables."""
    asyncio.run(_all())
    return 0


if __name__ == "__main__":
    sys.exit(main())
