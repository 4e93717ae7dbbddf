"""The simulator's log: the last requests in full, counters of all of them.

Memory is bounded twice, by the number of requests and by the bytes of their bodies. Counters and
sums never forget until a reset. `outcome` is `finished`, `refused` (an error instead of an
answer), `aborted` (the client left) or `faulted` (the script broke the answer off).
"""

from __future__ import annotations

import base64
from collections import Counter, deque
from typing import Any, Literal

import msgspec

from .replies import Counted

MAX_ENTRIES = 1000
MAX_BODIES_BYTES = 64 * 1024 * 1024
Outcome = Literal["finished", "refused", "aborted", "faulted"]
_HEADERS = (
    b"accept",
    b"content-type",
    b"traceparent",
    b"user-agent",
    b"x-amzn-bedrock-",
    b"x-amz-",
    b"anthropic-",
)
# Headers that are shown nowhere: they are credentials.
_SECRET = (b"x-amz-security-token",)


class Entry(msgspec.Struct, kw_only=True):
    """One request, filled in while it is served."""

    number: int
    operation: str = "Unknown"
    model: str = ""
    method: str = ""
    path: str = ""
    auth: str = "none"
    headers: list[tuple[bytes, bytes]] = []
    body: bytes = b""
    status: int = 0
    error_type: str | None = None
    error_message: str | None = None
    outcome: Outcome = "finished"
    scripted: bool = False
    usage: Counted | None = None
    duration_ms: float = 0.0

    def document(self) -> dict[str, Any]:
        """Returns the entry as the control API shows it."""
        usage = self.usage
        return {
            "number": self.number,
            "operation": self.operation,
            "model": self.model,
            "method": self.method,
            "path": self.path,
            "auth": self.auth,
            "headers": _shown(self.headers),
            "body": _decoded(self.body),
            "status": self.status,
            "error_type": self.error_type,
            "error_message": self.error_message,
            "outcome": self.outcome,
            "completed": self.outcome == "finished",
            "aborted": self.outcome == "aborted",
            "scripted": self.scripted,
            "billed_usage": _billed(usage) if usage is not None else None,
            "duration_ms": round(self.duration_ms, 3),
        }


def _shown(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in headers
        if name.startswith(_HEADERS) and name not in _SECRET
    }


def _decoded(body: bytes) -> Any:
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"base64": base64.b64encode(body).decode()}


def _billed(usage: Counted) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation_input_tokens": usage.cache_write,
    }


class RequestLog:
    """Bounded memory of entries, unbounded counters."""

    def __init__(self, file: str | None = None) -> None:
        """`file` receives one JSON line per request."""
        self._file = open(file, "ab", buffering=0) if file else None  # noqa: SIM115,PTH123  # lives as long as the log
        self.reset()

    def reset(self) -> None:
        """Forgets entries and counters."""
        self.clear()
        self._number = 0
        self._counts: Counter[tuple[str, int]] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._billed: dict[str, Counter[str]] = {}

    def clear(self) -> None:
        """Forgets the entries; the counters stay."""
        self._entries: deque[Entry] = deque()
        self._bytes = 0

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def next_number(self) -> int:
        """Numbers requests from 1 in the order of arrival."""
        self._number += 1
        return self._number

    def add(self, entry: Entry) -> None:
        """Remembers a served request."""
        self._entries.append(entry)
        self._bytes += len(entry.body)
        while len(self._entries) > MAX_ENTRIES or self._bytes > MAX_BODIES_BYTES:
            self._bytes -= len(self._entries.popleft().body)
        self._counts[entry.operation, entry.status] += 1
        self._outcomes[entry.outcome] += 1
        if entry.usage is not None:
            self._billed.setdefault(entry.outcome, Counter()).update(_billed(entry.usage))
        if self._file is not None:
            self._file.write(msgspec.json.encode(entry.document()) + b"\n")

    def entries(self) -> list[dict[str, Any]]:
        """The remembered requests, oldest first."""
        return [entry.document() for entry in self._entries]

    def stats(self) -> dict[str, Any]:
        """Counts per operation and status, outcomes, and sums of billed tokens per outcome."""
        operations: dict[str, dict[str, int]] = {}
        for (operation, status), count in sorted(self._counts.items()):
            operations.setdefault(operation, {})[str(status)] = count
        none = dict.fromkeys(_billed(Counted(input_tokens=0, output_tokens=0)), 0)
        return {
            "requests": sum(self._counts.values()),
            "operations": operations,
            "outcomes": dict(self._outcomes),
            "billed": {
                outcome: {**none, **self._billed.get(outcome, {})}
                for outcome in ("finished", "aborted", "faulted")
            },
        }
