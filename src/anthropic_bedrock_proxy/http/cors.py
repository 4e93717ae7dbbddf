"""Cross-origin requests: which pages of other origins may read the answers (Fetch standard).

Off unless CORS_ORIGINS names any. A preflight needs no key, and neither do the headers that let a
page read an error: whoever may not use the proxy is told so in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

# What a page may read beside the few headers that the Fetch standard lists: every one by its name,
# because `*` means nothing with credentials, and within a name it never does.
EXPOSED: Final = (
    *("allow", "request-id", "retry-after", "x-amzn-requestid", "x-bedrock-target", "x-cost-usd"),
    *("x-next-after", "x-proxy-warning", "x-should-retry", "x-token-count"),
    *(f"x-ratelimit-{part}" for part in ("limit", "remaining", "reset")),
    *(
        f"anthropic-ratelimit-{kind}-{part}"
        for kind in ("requests", "tokens", "input-tokens", "output-tokens")
        for part in ("limit", "remaining", "reset")
    ),
)
_EXPOSED_LINE: Final = f"access-control-expose-headers: {', '.join(EXPOSED)}\r\n".encode()


class CORS(msgspec.Struct, frozen=True, kw_only=True):
    """The CORS_* settings; `*` stands for all."""

    origins: frozenset[str]
    methods: tuple[str, ...] = ("*",)
    headers: tuple[str, ...] = ("*",)
    credentials: bool = False
    max_age_seconds: int = 600

    def lines(self, headers: Mapping[bytes, bytes]) -> bytes:
        """Returns header lines that let the page read this answer; none for other origins."""
        shared = b"" if "*" in self.origins else b"vary: origin\r\n"
        allowed = self._allowed(headers)
        if allowed is None:
            return shared
        lines = b"%baccess-control-allow-origin: %b\r\n%b" % (shared, allowed, _EXPOSED_LINE)
        if self.credentials:
            lines += b"access-control-allow-credentials: true\r\n"
        return lines

    def preflight(self, headers: Mapping[bytes, bytes], served: str) -> list[tuple[bytes, bytes]]:
        """Headers that say what a page may send to a path, which serves the methods `served`."""
        method = headers.get(b"access-control-request-method")
        if method is None or self._allowed(headers) is None:
            return []
        methods = served if "*" in self.methods else ", ".join(self.methods)
        # `*` would not cover Authorization (Fetch standard, "CORS-preflight fetch").
        names = headers.get(b"access-control-request-headers", b"")
        if "*" not in self.headers:
            names = ", ".join(self.headers).encode()
        return [
            (b"access-control-allow-methods", methods.encode()),
            (b"access-control-allow-headers", names),
            (b"access-control-max-age", b"%d" % self.max_age_seconds),
        ]

    def _allowed(self, headers: Mapping[bytes, bytes]) -> bytes | None:
        origin = headers.get(b"origin")
        if origin is None:
            return None
        if "*" in self.origins:
            return b"*"
        return origin if origin.decode("latin-1") in self.origins else None
