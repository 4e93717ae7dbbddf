"""States of a client by what it has sent, and an application that does what the path says."""

from __future__ import annotations

import asyncio

from anthropic_bedrock_proxy.http.server.errors import ClientGoneError, ProtocolError

MIB = 1 << 20  # what the application takes of a body
HOST = b" HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HOST + b"Transfer-Encoding: chunked\r\n\r\n"


class Application:
    """An application that does what the path says."""

    def __init__(self):
        self.done = asyncio.Event()  # the work that takes long
        self.cancelled = 0

    async def serve(self, request):
        try:
            await getattr(self, request.path.strip("/"))(request)
        except ClientGoneError:
            self.cancelled += 1
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def left(self, request):
        pass

    def refuse(self, error, client):
        return error.status, b"", b"refused"

    async def quick(self, request):
        request.answer(200, b"", b"{}")

    async def large(self, request):
        request.answer(200, b"", b"x" * 200_000)

    async def forbid(self, request):
        request.answer(401, b"", b"no")

    async def last(self, request):
        request.close_after_answer()
        request.answer(200, b"", b"{}")

    async def work(self, request):
        await self.done.wait()
        request.answer(200, b"", b"{}")

    async def read(self, request):
        size = 0
        try:
            while size <= MIB and (part := await request.read()):
                size += len(part)
        except ProtocolError as error:
            request.answer(error.status, b"", b"late")
        else:
            request.answer(413 if size > MIB else 200, b"", b"{}")

    async def stream(self, request):
        """Speaks once a second, as the steps go."""
        request.begin(200, b"", filler=b":\n\n")
        while not self.done.is_set():
            if not request.write(b"data: " + b"x" * 1000 + b"\n\n"):
                await request.drain()
            await asyncio.sleep(0)
        request.end()


# What a client has sent when it begins to misbehave.
STATES = {
    "connected": b"",
    "in the head": b"GET /quick HTTP/1.1\r\nA: ",
    "body awaited": b"POST /read" + HOST + b"Content-Length: 10000000\r\n\r\n",
    "chunks awaited": b"POST /read" + CHUNKED,
    "body not asked for": b"POST /work" + HOST + b"Content-Length: 10000000\r\n\r\n",
    "chunks not asked for": b"POST /work" + CHUNKED,
    "body not wanted": b"POST /forbid" + HOST + b"Content-Length: 262144\r\n\r\n",
    "at work": b"GET /work" + HOST + b"\r\n",
    "streaming": b"GET /stream" + HOST + b"\r\n",
    "whole answer": b"GET /quick" + HOST + b"\r\n",
    "large answer": b"GET /large" + HOST + b"\r\n",
    "last answer": b"GET /last" + HOST + b"\r\n",
    "idle": b"GET /quick" + HOST + b"\r\n",
    "lingering": b"POST /forbid" + CHUNKED,
}
