"""A DynamoDB that holds nothing and answers everything after a fixed time.

Every write succeeds, every read finds nothing. It tells its port on stdout. What is measured
against it is the store's own speed, calls and CPU, not that of an imitation of DynamoDB.
"""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Final, cast

import uvloop

_LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_OPERATION: Final = re.compile(rb"x-amz-target: *\w+\.(\w+)", re.IGNORECASE)
_ANSWERS: Final = {b"BatchGetItem": b'{"Responses":{}}', b"Query": b'{"Items":[]}'}
_TABLE: Final = b'{"Table":{"TableStatus":"ACTIVE"}}'


class _Connection(asyncio.Protocol):
    """Answers requests one by one."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._received[:end])
        length, operation = _LENGTH.search(head), _OPERATION.search(head)
        if len(self._received) < end + 4 + int(length[1] if length else 0):
            return
        self._received.clear()
        name = operation[1] if operation else b""
        body = _TABLE if name == b"DescribeTable" else _ANSWERS.get(name, b"{}")
        answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        asyncio.get_running_loop().call_later(self._seconds, self._answer, answer)

    def _answer(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)


async def main(seconds: float) -> None:
    """Serves until it is told to stop."""
    server = await asyncio.get_running_loop().create_server(
        lambda: _Connection(seconds), "127.0.0.1", 0
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1])))
