"""Requests as bytes, small bounds that they reach, and what a connection wrote."""

from __future__ import annotations

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds

BOUNDS = ConnectionBounds(
    head_bytes=400,
    head_seconds=10,
    idle_seconds=20,
    body_seconds=30,
    unread_body_bytes=50,
    skipped_body_bytes=100,
    framing_bytes=100,
    ahead_bytes=80,
    stall_seconds=40,
    linger_seconds=12,
    linger_idle_seconds=5,
)
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def post(length, body=b"", *more):
    lines = b"".join(line + b"\r\n" for line in more)
    return b"POST / HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (lines, length, body)


def written(connection):
    out, connection.out = b"".join(connection.out), []
    return out
