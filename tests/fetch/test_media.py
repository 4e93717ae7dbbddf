from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.fetch.base import FetchError
from anthropic_bedrock_proxy.fetch.media import (
    Declared,
    check_declared,
    media_type_of,
    parse_content_type,
    sniff,
)

PNG = b"\x89PNG\r\n\x1a\nrest"
JPEG = b"\xff\xd8\xff\xe0rest"
WEBP = b"RIFF\x00\x00\x00\x00WEBPVP8 "
IMAGES = frozenset(("image/png", "image/jpeg", "image/gif", "image/webp"))
DOCUMENTS = frozenset(("application/pdf", "text/*"))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", Declared("", None)),
        ("binary/octet-stream", Declared("", None)),
        ("Application/Octet-Stream; x=y", Declared("", None)),
        ("image/PNG", Declared("image/png", None)),
        ("image/jpg", Declared("image/jpeg", None)),
        ("text/html; charset=UTF-8", Declared("text/html", "utf-8")),
        ('text/html;q=1 ; charset = "Latin1"', Declared("text/html", "latin1")),
        ("text/plain; charset=" + "x" * 50, Declared("text/plain", "x" * 40)),
    ],
)
def test_content_types(value, expected):
    assert parse_content_type(value) == expected


@pytest.mark.parametrize("value", ["image", "image/png, image/png", "a/b/c", "<b>/x", "é/x"])
def test_content_types_that_are_none(value):
    with pytest.raises(FetchError, match="media type"):
        parse_content_type(value)


@pytest.mark.parametrize(
    ("declared", "body", "accept", "expected"),
    [
        ("image/png", PNG, IMAGES, "image/png"),
        ("image/png", JPEG, IMAGES, "image/jpeg"),
        ("", JPEG, IMAGES, "image/jpeg"),
        ("", WEBP, IMAGES, "image/webp"),
        ("", b"GIF89a", IMAGES, "image/gif"),
        ("image/svg+xml", PNG, IMAGES, "image/png"),
        ("", b"junk\n%PDF-1.7", DOCUMENTS, "application/pdf"),
        ("application/pdf", b"what the server says", DOCUMENTS, "application/pdf"),
        ("text/html", PNG, DOCUMENTS, "text/html"),
    ],
)
def test_the_kind_of_a_body(declared, body, accept, expected):
    assert media_type_of(Declared(declared, None), body, accept) == expected


@pytest.mark.parametrize(
    ("declared", "body", "accept", "reason"),
    [
        ("image/png", b"<html>", IMAGES, "something else"),
        ("image/svg+xml", b"<svg>", IMAGES, "its media type is image/svg.xml; accepted are image/"),
        ("", b"junk", IMAGES, "its media type is application/octet-stream"),
        ("", PNG, DOCUMENTS, "its media type is image/png"),
        ("image/png", b"%PDF-1", IMAGES, "its media type is application/pdf"),
    ],
)
def test_bodies_of_another_kind(declared, body, accept, reason):
    with pytest.raises(FetchError, match=reason):
        media_type_of(Declared(declared, None), body, accept)


def test_what_no_body_can_mend_is_refused_before_it():
    check_declared(Declared("", None), IMAGES)
    check_declared(Declared("image/svg+xml", None), IMAGES)
    check_declared(Declared("text/csv", None), DOCUMENTS)
    with pytest.raises(FetchError, match="its media type is text/html"):
        check_declared(Declared("text/html", None), IMAGES)


@given(st.text(), st.binary())
def test_junk_is_an_error_of_ours_or_nothing(value, body):
    with suppress(FetchError):
        media_type_of(parse_content_type(value), body, IMAGES)
    assert sniff(body) is None or body
