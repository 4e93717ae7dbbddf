"""Every number that bounds what one client may take, before and after it has shown a key."""

from __future__ import annotations

import msgspec


class ConnectionBounds(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one connection, in bytes and in seconds of its client's making.

    Times are looked at once per `tick_seconds`, so each may be exceeded by that. docs/security.md
    has the table.
    """

    tick_seconds: float = 1.0

    head_bytes: int = 64 * 1024  # request line and headers
    headers: int = 200
    target_bytes: int = 16 * 1024
    head_seconds: float = 60.0  # from the connection, or from the first byte of a further request

    body_seconds: float = 60.0  # from when the application waits for it, or has answered
    unread_body_bytes: int = 64 * 1024  # received before the application asks; then reading pauses
    skipped_body_bytes: int = 256 * 1024  # of a body nobody wants, to keep the connection
    framing_bytes: int = 16 * 1024  # chunk extensions and trailers of one body

    ahead_bytes: int = 16 * 1024  # of further requests while one is served; then reading pauses
    idle_seconds: float = 75.0  # between requests
    unsent_bytes: int = 32 * 1024  # of answers; then the source of the answer pauses
    stall_seconds: float = 300.0  # that unsent bytes may wait for the client
    # Of discarding after an answer that closes the connection; of waiting for the end of TLS.
    linger_seconds: float = 30.0
    linger_idle_seconds: float = 5.0  # of silence meanwhile

    # Of silence before a connection without a request is closed, once the port is closed.
    quiet_seconds: float = 1.5

    # Whether who ends its side of the connection still gets its answer; else it counts as gone.
    half_closed: bool = True
    probe_seconds: float = (
        0.25  # from that end to a probe, and from a probe to a look at its outcome
    )
    next_probe_seconds: float = 15.0

    connections: int = 10_000  # of this worker; a new one ends the oldest that waits for a request
    handshake_seconds: float = 10.0  # of TLS
