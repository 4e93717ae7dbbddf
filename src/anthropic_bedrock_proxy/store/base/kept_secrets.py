"""The port of secrets that the proxy makes for itself, once for all its processes.

They are stored as they are: whoever reads the store has them. So only what the store's readers may
have is kept here, and a setting can take its place.
"""

from __future__ import annotations

from typing import Protocol


class KeptSecrets(Protocol):
    """Secrets under their names, each written once and never changed."""

    async def keep_first(self, name: str, offered: bytes) -> bytes:
        """Returns the secret under a name, for all processes the same; raises `StoreError`.

        If there is none yet, `offered` becomes it, unless another process is faster. Neither name
        nor secret may be empty.
        """
        ...
