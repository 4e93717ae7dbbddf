"""Removes what code of models has left: trees of any depth, with any modes.

No program is called for it, because images have neither `rm` nor `chmod`. Everything is moved into
a folder that only the executor may write to before it is looked into: so no path grows longer than
the system takes, and nobody can put a link in its place meanwhile.
"""

from __future__ import annotations

import itertools
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path


def remove_tree(tree: Path) -> None:
    """Removes a tree, or as much of it as can be; one that is not there is no error."""
    if not os.path.lexists(tree):
        return
    heap = Path(tempfile.mkdtemp(dir=tree.parent))
    names = map(str, itertools.count())
    folders: list[Path] = []

    def take(path: Path) -> None:
        with suppress(OSError):
            moved = _move(path, heap / next(names))
            if stat.S_ISDIR(moved.lstat().st_mode):
                moved.chmod(0o700)
                folders.append(moved)
            else:
                moved.unlink()

    take(tree)
    while folders:
        folder = folders.pop()
        with suppress(OSError):
            for name in os.listdir(folder):  # noqa: PTH208  # whole, before anything is moved
                take(folder / name)
            folder.rmdir()
    with suppress(OSError):
        heap.rmdir()


def _move(path: Path, target: Path) -> Path:
    try:
        return path.rename(target)
    except PermissionError:  # a folder without write permission cannot change its parent
        path.chmod(0o700)
        return path.rename(target)
