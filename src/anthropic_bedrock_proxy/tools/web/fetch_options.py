"""The operator's bounds of web fetch."""

from __future__ import annotations

import msgspec


class WebFetchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds that hold where the definition of the tool has none."""

    default_max_uses: int = 20
    default_max_tokens: int = 100_000  # of the text of one page
