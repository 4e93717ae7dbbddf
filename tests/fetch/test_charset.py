from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.fetch.charset import DEFAULT, declared_charset, known_charset

KOI = b'<meta charset="koi8-r">'


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("UTF-8", DEFAULT),
        ("utf8", DEFAULT),
        (" ISO-8859-1 ", "windows-1252"),  # as browsers read it
        ("latin1", "windows-1252"),
        ("iso-8859-5", "iso-8859-5"),
        ("gbk", "gb18030"),
        ("Shift_JIS", "shift_jis"),
        ("iso-8859-12", None),  # there is none
        ("punycode", None),
        ("base64", None),
        ("unicode_escape", None),
        ("idna", None),
        ("utf-7", None),
        ("utf-8\n", DEFAULT),
        ("", None),
        (None, None),
    ],
)
def test_names_of_charsets(name, codec):
    assert known_charset(name) == codec


@pytest.mark.parametrize(
    ("body", "header", "codec"),
    [
        (codecs.BOM_UTF8 + KOI, "shift_jis", "shift_jis"),  # the header first
        (codecs.BOM_UTF8 + KOI, "nonsense", DEFAULT),  # then the mark
        (codecs.BOM_UTF16_LE + b"a\0", None, "utf-16"),
        (codecs.BOM_UTF16_BE + b"\0a", None, "utf-16"),
        (b"<html><head>" + KOI, None, "koi8-r"),  # then the markup
        (b'<META http-equiv=Content-Type content="text/html; charset=EUC-JP">', None, "euc-jp"),
        (b"<meta charset=' big5 '>", None, "big5"),
        (b'<?xml version="1.0" encoding="windows-1251"?>', None, "windows-1251"),
        (b'<meta charset="utf-16">', None, DEFAULT),  # which it cannot be
        (b'<meta charset="punycode">', None, None),
        (b" " * 1020 + KOI, None, None),  # only near the beginning
        (b"plain", None, None),
    ],
)
def test_where_a_body_says_its_charset(body, header, codec):
    assert declared_charset(body, header) == codec


@given(st.binary(max_size=2000), st.none() | st.text(max_size=40))
def test_whatever_a_body_says_can_be_decoded(body, header):
    body.decode(declared_charset(body, header) or DEFAULT, "replace")
