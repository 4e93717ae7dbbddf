"""Orphans: files of the usage journal whose owners are dead, taken over to be delivered."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path
from typing import Final

from .base.ledger import Account
from .inheritance import Costs
from .segment import Name, Segment

_MOST_ADOPTED: Final = 128  # at once: each is a descriptor

logger = logging.getLogger("anthropic_bedrock_proxy.journal")


class Orphans:
    """The orphans that this process has taken over, in the order of their delivery."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._looked = False
        self._left_alone: set[Path] = set()
        self.adopted: list[Segment] = []

    def adopt(self) -> None:
        """Takes over segments whose owners are dead.

        Not those after one of the same writer that another process has or that cannot be read: its
        batches come first.
        """
        self._looked = True
        adopted = {segment.path for segment in self.adopted}
        paths = self._directory.glob("usage-*.jsonl")
        held: set[str] = set()
        for name, path in sorted((Name.of(path), path) for path in paths):
            if name.writer in held or path in adopted:
                continue
            if len(self.adopted) >= _MOST_ADOPTED:
                return
            if path in self._left_alone:
                held.add(name.writer)
                continue
            try:
                segment = Segment.adopt(path)
            except FileNotFoundError:
                continue  # another process delivered it
            except OSError as error:
                self.leave_alone(path, error)
                held.add(name.writer)
                continue
            if segment is None:
                held.add(name.writer)
            else:
                self.adopted.append(segment)

    async def costs(self) -> Costs:
        """Returns what dead processes spent that the store does not have, by writer.

        Rather too much than too little. Orphans that another process has adopted are not counted.
        """
        if not self._looked:
            self.adopt()
        for segment in list(self.adopted):
            await segment.sum_up()
        sums: dict[str, Counter[Account]] = {}
        for segment in self.adopted:
            sums.setdefault(segment.name.writer, Counter()).update(segment.costs or {})
        return sums

    def leave_alone(self, path: Path, error: OSError) -> None:
        """Leaves a file alone until the next start: one that fails now fails every second."""
        self._left_alone.add(path)
        logger.error("%s: %s; left for the next start", path, error.strerror or error)

    def close(self) -> None:
        """Unlocks the adopted files, for other processes."""
        for segment in self.adopted:
            segment.close()
        self.adopted = []
