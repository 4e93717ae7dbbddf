"""Forms (multipart/form-data) out of request bodies, by python-multipart: RFC 7578.

That library parses; the bounds are ours. A form that is made of as many boundaries as fit, or of
what is almost one, is parsed slowly, so others get their turn after each slice.

    form = await read_form(b"multipart/form-data; boundary=x", body, {"file": 1 << 20})
    form["file"]  ->  FormPart("sales.csv", "text/csv", bytearray(b"a,b"))
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from ..errors import InvalidRequestError, RequestTooLargeError, UnavailableError, needs_extra

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS: Final = 16
MAX_HEADERS: Final = 8  # of a part
MAX_HEADER_BYTES: Final = 4096
_SLICE_BYTES: Final = 1 << 15
_MAX_SHOWN: Final = 60
_NO_TYPE: Final = "application/octet-stream"
_ReadOptions = Callable[[str], Mapping[bytes, bytes]]


class FormPart(msgspec.Struct):
    """A field of a form; one that is a file has a name, as its client gave it."""

    filename: str | None
    content_type: str
    content: bytearray


async def read_form(
    content_type: bytes, body: bytes | bytearray, wanted: Mapping[str, int]
) -> dict[str, FormPart]:
    """Reads the `wanted` fields, each with the most bytes that it may have; drops all others.

    Raises `InvalidRequestError`, `RequestTooLargeError`; `UnavailableError` without the library.
    """
    try:
        from python_multipart import MultipartParser  # noqa: PLC0415  # most never need it
        from python_multipart.exceptions import FormParserError  # noqa: PLC0415
        from python_multipart.multipart import parse_options_header  # noqa: PLC0415
    except ImportError:
        raise UnavailableError(
            f"Files cannot be taken: {needs_extra('the proxy', 'sandbox')}",
            cause="unavailable:library",
        ) from None
    kind, options = parse_options_header(content_type.decode("latin-1"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise InvalidRequestError("content-type: expected multipart/form-data with a boundary")
    form = _Form(wanted, lambda text: parse_options_header(text)[1])
    try:
        parser = MultipartParser(
            boundary,
            form.callbacks(),
            max_header_count=MAX_HEADERS,
            max_header_size=MAX_HEADER_BYTES,
        )
        view = memoryview(body)
        for start in range(0, len(view), _SLICE_BYTES):
            parser.write(bytes(view[start : start + _SLICE_BYTES]))
            await asyncio.sleep(0)
    except FormParserError:
        raise InvalidRequestError("The body is not a form (multipart/form-data).") from None
    if not form.ended:
        raise InvalidRequestError("The form is cut short: its last boundary is missing.")
    return form.parts


class _Form:
    """The fields of a form, as the parser finds them."""

    def __init__(self, wanted: Mapping[str, int], read_options: _ReadOptions) -> None:
        self.parts: dict[str, FormPart] = {}
        self.ended = False
        self._wanted = wanted
        self._read_options = read_options
        self._count = 0
        self._part: FormPart | None = None
        self._name = ""
        self._room = 0
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value = b"", b""

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_to_field,
            "on_header_value": self._add_to_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_content,
            "on_end": self._end,
        }

    def _begin_part(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise InvalidRequestError(f"The form has more than {MAX_PARTS} parts.")
        self._part, self._headers = None, {}

    def _add_to_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field, self._value = b"", b""

    def _end_headers(self) -> None:
        disposition = self._headers.get(b"content-disposition", b"").decode("latin-1")
        options = self._read_options(disposition)
        name = _text(options.get(b"name", b""))
        if name not in self._wanted:
            return
        if name in self.parts:
            raise InvalidRequestError(f"{name}: given twice")
        filename = options.get(b"filename")
        kind = self._headers.get(b"content-type", b"").decode("latin-1").strip()
        self._name, self._room = name, self._wanted[name]
        self._part = self.parts[name] = FormPart(
            None if filename is None else _text(filename),
            kind if kind.isascii() and kind.isprintable() and kind else _NO_TYPE,
            bytearray(),
        )

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        if self._part is None:
            return
        self._room -= end - start
        if self._room < 0:
            most = self._wanted[self._name]
            raise RequestTooLargeError(f"{self._name}: over the limit of {most} bytes")
        self._part.content += data[start:end]

    def _end(self) -> None:
        self.ended = True


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        shown = raw[:_MAX_SHOWN].decode("ascii", "backslashreplace")
        raise InvalidRequestError(f"The form has a name that is not UTF-8: {shown}") from None
