"""Files that clients bring into the container: `container_upload` blocks of user messages.

The model sees a text in place of each, which names the file. The file itself is brought in before
the next cell that runs; all of a conversation's are named to the executor with every cell, and it
brings in those that do not lie there yet, so a new container gets them too.

    {"type": "container_upload", "file_id": "file_0a1b…"}
    -> {"type": "text", "text": 'The file "sales.csv" (2,048 bytes) lies in the working folder.'}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from ...errors import InvalidRequestError
from ...protocol.raw import Json
from ...sandbox.base import Sandbox, UnknownFileError
from ..base import ShowBlock
from ..calls import GivenBlock

MAX_UPLOADS: Final = 100  # different files of a request
_MAX_SHOWN: Final = 60
_UNREAD: Final = 'The file "file" lies in the working folder.'  # until it is looked up


def _show(block: Json, path: str) -> Json:
    """Returns the text for a block whose file nobody has looked up yet."""
    name = block.get("file_id")
    if not isinstance(name, str) or not name:
        raise InvalidRequestError(f"{path}.file_id: Expected the id of a file")
    shown = {"type": "text", "text": _UNREAD}
    return shown | {key: block[key] for key in ("cache_control",) if block.get(key) is not None}


USER_BLOCKS: Final[Mapping[str, ShowBlock]] = MappingProxyType({"container_upload": _show})


class Uploads:
    """The files that the user messages of one request name."""

    def __init__(self, blocks: Sequence[GivenBlock]) -> None:
        """Raises `InvalidRequestError` with the path."""
        self._blocks = blocks
        # A file that stands in the request again is of the later time: of two with one name, the
        # executor is to bring the later one in last.
        self.files = [*dict.fromkeys(each.block["file_id"] for each in reversed(blocks))][::-1]
        if len(self.files) > MAX_UPLOADS:
            raise InvalidRequestError(
                f"{blocks[-1].path}: at most {MAX_UPLOADS} files can be brought into a container"
            )

    async def check(self, sandbox: Sandbox, owner: str) -> None:
        """Looks up the files, and completes what the model sees.

        Raises `InvalidRequestError` with the path, `SandboxUnavailableError`.
        """
        texts: dict[str, str] = {}
        for each in self._blocks:
            name = each.block["file_id"]
            if name not in texts:
                try:
                    record = await sandbox.file(owner, name)
                except UnknownFileError:
                    raise InvalidRequestError(
                        f"{each.path}.file_id: File not found: {name[:_MAX_SHOWN]}"
                    ) from None
                texts[name] = (
                    f'The file "{record.filename}" ({record.size_bytes:,} bytes) lies in the '
                    "working folder."
                )
            each.shown["text"] = texts[name]
