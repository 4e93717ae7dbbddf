"""A `CredentialsSource` whose keys are fetched when they are asked for."""

from __future__ import annotations


class FetchedSource:
    """Keeps what `fetch` gave until it is refused."""

    def __init__(self, fetch):
        self._fetch = fetch
        self.current = None

    async def get(self):
        if self.current is None:
            self.current = await self._fetch()
        return self.current

    def invalidate(self, refused=None):
        if refused is None or refused is self.current:
            self.current = None
