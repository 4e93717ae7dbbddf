"""Forms as SDKs send them, and as nobody should."""

from __future__ import annotations

import asyncio
import sys
from time import process_time

import pytest

from anthropic_bedrock_proxy.errors import (
    InvalidRequestError,
    ProxyError,
    RequestTooLargeError,
    UnavailableError,
)
from anthropic_bedrock_proxy.http.form import MAX_HEADER_BYTES, MAX_HEADERS, MAX_PARTS, read_form

TYPE = b"multipart/form-data; boundary=xyz"
WANTED = {"file": 1000, "note": 10}


def part(content=b"abc", *lines, name="file", filename="a.txt"):
    named = "" if filename is None else f'; filename="{filename}"'
    head = [f'content-disposition: form-data; name="{name}"{named}'.encode(), *lines]
    return b"--xyz\r\n" + b"".join(line + b"\r\n" for line in head) + b"\r\n" + content + b"\r\n"


def form(*parts):
    return b"".join(parts) + b"--xyz--\r\n"


def read(body, kind=TYPE, wanted=WANTED):
    return asyncio.run(read_form(kind, body, wanted))


def test_files_and_fields_are_read():
    body = form(
        part(b"a\r\nb\0", b"Content-Type: text/csv", filename="s.csv"),
        part(b"42", name="note", filename=None),
    )
    for given in (body, bytearray(body)):
        fields = read(given)
        file, note = fields["file"], fields["note"]
        assert (file.filename, file.content_type) == ("s.csv", "text/csv")
        assert bytes(file.content) == b"a\r\nb\0"
        assert (note.filename, note.content_type) == (None, "application/octet-stream")
        assert bytes(note.content) == b"42"


def test_a_large_file_is_the_same_wherever_the_slices_are_cut():
    content = bytes(range(256)) * 1000 + b"\r\n--xy\r\n--xyw"
    assert bytes(read(form(part(content)), wanted={"file": 1 << 20})["file"].content) == content


def test_fields_that_nobody_wants_are_dropped_whatever_their_size():
    fields = read(form(part(b"x" * 100_000, name="other"), part()))
    assert list(fields) == ["file"]


def test_names_are_utf_8():
    assert read(form(part(filename="Zoë.txt")))["file"].filename == "Zoë.txt"
    with pytest.raises(InvalidRequestError, match="not UTF-8"):
        read(form(part()).replace(b"a.txt", b"\xff.txt"))


@pytest.mark.parametrize(
    "kind", [b"", b"application/json", b"multipart/form-data", b"\xff;boundary=xyz"]
)
def test_another_type_is_refused(kind):
    with pytest.raises(InvalidRequestError, match="content-type: expected multipart/form-data"):
        read(form(part()), kind)


@pytest.mark.parametrize(
    "body",
    [b"", b"--xyz", b"--xyz--\r\n"[:4], part(), form(part())[:-9], part() + b"--xyz\r\n"],
)
def test_a_form_that_is_cut_short_is_refused(body):
    with pytest.raises(InvalidRequestError, match="cut short"):
        read(body)


@pytest.mark.parametrize("body", [b"hello", b"--xyz\r\n\0: x\r\n\r\n", b'{"file": 1}'])
def test_what_is_no_form_is_refused(body):
    with pytest.raises(InvalidRequestError, match="not a form"):
        read(body)


def test_a_field_over_its_bound_is_refused_with_the_bound():
    assert len(read(form(part(b"x" * 1000)))["file"].content) == 1000
    with pytest.raises(RequestTooLargeError, match="file: over the limit of 1000 bytes"):
        read(form(part(b"x" * 1001)))


def test_a_field_that_comes_twice_is_refused():
    with pytest.raises(InvalidRequestError, match="file: given twice"):
        read(form(part(), part()))


def test_ten_thousand_parts_are_not_read():
    assert read(form(*[part(name="x")] * MAX_PARTS)) == {}
    with pytest.raises(InvalidRequestError, match=f"more than {MAX_PARTS} parts"):
        read(form(*[part(name="x")] * 10_000))


@pytest.mark.parametrize(
    "lines",
    [
        [b"x: y"] * (MAX_HEADERS + 1),
        [b"x: " + b"y" * MAX_HEADER_BYTES],
        [b"x" * MAX_HEADER_BYTES + b"y: z"],
        [b"x: y"] * 100_000,
    ],
    ids=["many", "long value", "long name", "endless"],
)
def test_headers_of_a_part_are_bounded(lines):
    with pytest.raises(InvalidRequestError, match="not a form"):
        read(form(part(b"abc", *lines)))


@pytest.mark.parametrize("boundary", [b"x" * 257, b"x" * 100_000])
def test_a_boundary_that_is_too_long_is_refused(boundary):
    with pytest.raises(InvalidRequestError, match="not a form"):
        read(b"--" + boundary, b"multipart/form-data; boundary=" + boundary)


@pytest.mark.parametrize("content", [b"\r", b"\r\n--xy", b"\r\n--xyz-", b"-", b"\n"], ids=repr)
def test_others_get_their_turn_while_a_form_is_parsed(content):
    """Whatever the content, a slice of it is parsed in a moment."""
    body = form(part(content * ((1 << 20) // len(content)), name="other"))
    longest = 0.0

    async def main():
        nonlocal longest
        reading = asyncio.ensure_future(read_form(TYPE, body, WANTED))
        while not reading.done():
            began = process_time()
            await asyncio.sleep(0)
            longest = max(longest, process_time() - began)
        try:
            await reading
        except ProxyError:  # `\r\n--xyz-` is no boundary, and is said to be none
            return

    asyncio.run(main())
    assert longest < 0.2


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "python_multipart", None)
    with pytest.raises(UnavailableError, match="needs the extra `sandbox`"):
        read(form(part()))
