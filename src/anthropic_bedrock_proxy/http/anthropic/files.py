"""The Files API, in front of the files that executors keep: /v1/files.

A key sees its own files alone. Only files that code has made can be downloaded, as with Anthropic.
Source: Anthropic API, "Files API"; types of the official SDKs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, quote

import msgspec

from ...errors import (
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RequestTooLargeError,
    UnavailableError,
)
from ...sandbox.base import (
    NoRoomError,
    RefusedFileError,
    SandboxUnavailableError,
    UnknownFileError,
    owner_of,
)
from ...sandbox.wire import LONGEST_FILENAME, is_filename
from ..application import HTTPRoute, Request
from ..authentication import Authentication
from ..body import read_body
from ..form import FormPart, read_form
from ..reply import Reply, header_lines
from .encoder import ANTHROPIC
from .file_list import page_of, shape

if TYPE_CHECKING:
    from ...sandbox.kept_files import KeptFiles

MIN_SECONDS: Final = 3600
MAX_SECONDS: Final = 90 * 86400
_FORM_BYTES: Final = 1 << 17  # of a form beside the file: its boundaries and headers
_FIELD_BYTES: Final = 64
_MAX_QUERY_FIELDS: Final = 200
_MAX_SHOWN: Final = 60
_NO_TOKEN: Final = re.compile(r"[^ !#-\[\]-~]")  # what a quoted string of a header cannot hold
_SWITCHED_OFF: Final = (
    "Files belong to code execution, which is switched off on this proxy; its operator may set "
    "ENABLE_STANDALONE_CODE_EXECUTION=true"
)
_encode = msgspec.json.Encoder().encode


class FilesAPI:
    """Files: uploaded by clients, or left by code."""

    def __init__(
        self,
        files: Callable[[], KeptFiles] | None,
        authentication: Authentication,
        *,
        max_file_bytes: int,
    ) -> None:
        """`files` gives those of the executors when they are needed; None: code is never run."""
        self._files = files
        self._authenticate = authentication.authenticate
        self._max_file_bytes = max_file_bytes

    def routes(self) -> Iterable[HTTPRoute]:
        """Returns the routes of this API."""
        list_, get, content = self.list_files, self.get_file, self.get_content
        return (
            HTTPRoute("/v1/files", {"POST": self.upload, "GET": list_, "HEAD": list_}, ANTHROPIC),
            HTTPRoute(
                "/v1/files/{file_id}",
                {"GET": get, "HEAD": get, "DELETE": self.delete_file},
                ANTHROPIC,
            ),
            HTTPRoute("/v1/files/{file_id}/content", {"GET": content}, ANTHROPIC),
        )

    async def upload(self, request: Request) -> Reply:
        """Keeps a file that comes in a form."""
        files, owner = await self._enter(request)
        body = await read_body(request, self._max_file_bytes + _FORM_BYTES)
        wanted = {"file": self._max_file_bytes, "expires_in_seconds": _FIELD_BYTES}
        form = await read_form(request.headers.get(b"content-type", b""), body, wanted)
        del body
        if "file" not in form:
            raise InvalidRequestError("file: Field required")
        file = form["file"]
        name, seconds = _filename(file), _seconds(form.get("expires_in_seconds"))
        with _failures_told():
            content = bytes(file.content)
            record = await files.upload(owner, name, content, file.content_type, seconds=seconds)
        return Reply(_encode(shape(record)))

    async def list_files(self, request: Request) -> Reply:
        """Lists the files of a key, a page at a time."""
        files, owner = await self._enter(request)
        try:
            text = request.head.query.decode("latin-1")
            query = parse_qs(text, max_num_fields=_MAX_QUERY_FIELDS)
        except ValueError:
            raise InvalidRequestError("The query has too many parameters.") from None
        with _failures_told():
            records = await files.list_files(owner)
        return Reply(_encode(page_of(records, query)))

    async def get_file(self, request: Request, *, file_id: str) -> Reply:
        """Returns what is known of a file."""
        files, owner = await self._enter(request)
        with _failures_told(file_id):
            record = await files.file(owner, file_id)
        return Reply(_encode(shape(record)))

    async def get_content(self, request: Request, *, file_id: str) -> Reply:
        """Returns the bytes of a file that code has made."""
        files, owner = await self._enter(request)
        with _failures_told(file_id):
            record = await files.file(owner, file_id)
            if not record.downloadable:
                raise InvalidRequestError(
                    f"File {file_id[:_MAX_SHOWN]} is not downloadable: only files that code has "
                    "made are"
                )
            content = await files.file_content(owner, file_id)
        # Code may have made a page: no browser is to take it for one of the proxy's own.
        lines = header_lines(
            (
                (b"content-disposition", _disposition(record.filename)),
                (b"x-content-type-options", b"nosniff"),
            )
        )
        kind = record.mime_type
        if not (kind.isascii() and kind.isprintable()):
            kind = "application/octet-stream"
        return Reply(content, lines=lines, content_type=kind.encode())

    async def delete_file(self, request: Request, *, file_id: str) -> Reply:
        """Removes a file."""
        files, owner = await self._enter(request)
        with _failures_told(file_id):
            await files.delete_file(owner, file_id)
        return Reply(_encode({"id": file_id, "type": "file_deleted"}))

    async def _enter(self, request: Request) -> tuple[KeptFiles, str]:
        """Begins every endpoint: checks the key; returns the files, and whose are asked for."""
        await self._authenticate(request)
        if self._files is None:
            raise NotFoundError(_SWITCHED_OFF)
        return self._files(), owner_of(request.exchange.key_id)


@contextmanager
def _failures_told(file_id: str = "") -> Iterator[None]:
    """Turns what goes wrong with files into what clients are told."""
    try:
        yield
    except UnknownFileError:
        raise NotFoundError(f"File not found: {file_id[:_MAX_SHOWN]}") from None
    except NoRoomError as full:
        raise PermissionDeniedError(
            f"There is no room for the file: {full}; delete files that are not needed any more",
            cause="no_room",
        ) from None
    except RefusedFileError as refused:
        raise RequestTooLargeError(f"file: {refused}") from None
    except SandboxUnavailableError as unavailable:
        raise UnavailableError(
            f"Files cannot be had at the moment: {unavailable}",
            cause="unavailable:executor",
            should_retry=unavailable.soon,
        ) from None


def _filename(file: FormPart) -> str:
    """Returns the last component of a name. Raises `InvalidRequestError`."""
    given = (file.filename or "").replace("\\", "/").rpartition("/")[2]
    if not given:
        from mimetypes import guess_extension  # noqa: PLC0415  # most clients give a name

        given = "unnamed" + (guess_extension(file.content_type.partition(";")[0]) or "")
    if not is_filename(given):
        raise InvalidRequestError(
            f"file: its name has to be printable, at most {LONGEST_FILENAME} bytes long, and "
            'neither "." nor ".."'
        )
    return given


def _seconds(field: FormPart | None) -> int | None:
    """Returns how long a file is to be kept. Raises `InvalidRequestError`."""
    if field is None:
        return None
    text = field.content.strip()
    if text.isdigit() and MIN_SECONDS <= int(text) <= MAX_SECONDS:
        return int(text)
    raise InvalidRequestError(
        f"expires_in_seconds: must be a number from {MIN_SECONDS} to {MAX_SECONDS}"
    )


def _disposition(filename: str) -> bytes:
    """Returns the header that names a download, for old clients in ASCII too: RFC 6266."""
    plain = _NO_TOKEN.sub("_", filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}".encode()
