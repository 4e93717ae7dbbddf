"""The operator's wishes about web fetch."""

from __future__ import annotations

import msgspec


class WebFetchOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of a request whose tool does not say."""

    default_max_uses: int = 20
    default_max_tokens: int = 100_000  # of the text of one page
