"""Addresses of executors: unix:///PATH, http://HOST:PORT. Pure."""

from __future__ import annotations

from hashlib import sha256
from urllib.parse import urlsplit

import msgspec

DEFAULT_PORT = 8600


class ExecutorAddress(msgspec.Struct, frozen=True):
    """The address of one executor; `path` is that of a unix socket."""

    url: str
    path: str | None = None
    host: str = ""
    port: int = 0
    tls: bool = False

    @property
    def mark(self) -> str:
        """Returns the four hex digits that the ids of its containers begin with."""
        return sha256(self.url.encode()).hexdigest()[:4]

    @classmethod
    def from_url(cls, url: str) -> ExecutorAddress:
        """Parses a URL. Raises `ValueError`."""
        parts = urlsplit(url.strip())
        if parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1:
            return cls(f"unix://{parts.path}", parts.path)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.path in {"", "/"}:
            port = parts.port or DEFAULT_PORT
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            address = f"{parts.scheme}://{host}:{port}"
            return cls(address, None, parts.hostname, port, parts.scheme == "https")
        raise ValueError(f"not unix:///PATH or http://HOST:PORT: {url}")


def parse_addresses(text: str) -> list[ExecutorAddress]:
    """Parses URLs with commas between them, each once. Raises `ValueError`."""
    addresses = [ExecutorAddress.from_url(url) for url in text.split(",") if url.strip()]
    by_mark = {address.mark: address for address in addresses}
    if not addresses or len(by_mark) < len({address.url for address in addresses}):
        raise ValueError("no address, or two that cannot be told apart")
    return list(by_mark.values())
