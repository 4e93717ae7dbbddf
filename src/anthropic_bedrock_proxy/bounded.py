"""Bounds: a dictionary that forgets what was set longest ago, and lists that are cut in words.

Reading is that of a plain dictionary and changes no order, so a hit costs nothing more: what is
still in use has to be set anew now and then to stay.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Bounded(OrderedDict[K, V]):
    """At most `most` entries."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


def some_of(names: Sequence[str], most: int) -> str:
    """Lists names in words, and how many more there are than `most`.

    >>> some_of(["a", "b", "c"], 2)
    'a, b and 1 more'
    """
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
