"""HTML to Markdown, and bytes to text, in this process."""

from __future__ import annotations

import codecs

import pytest

from anthropic_bedrock_proxy.fetch.reading import markup
from anthropic_bedrock_proxy.fetch.reading.frames import MAX_TEXT
from anthropic_bedrock_proxy.fetch.reading.markup import MAX_MARKUP, decode_body, read_html

URL = "https://a.example/dir/page?q"
ARTICLE = """<html><head><title> The
 title </title><script>var hidden = 1</script></head><body>
<nav><a href="/home">Home</a></nav>
<article><h1>Heading</h1>
<p>A paragraph that is <b>long</b> enough for the main text, with <a href="../other#x">a link</a>
and <a href="https://b.example/">another one</a>, and some more words so that nobody doubts it.</p>
<ul><li>first of the list</li><li>second of the list</li></ul>
<table><tr><th>Name</th><th>Value</th></tr><tr><td>pi</td><td>3.14</td></tr></table>
<pre><code>x = 1
y = 2</code></pre>
</article><footer>Imprint</footer></body></html>"""


def test_the_main_text_becomes_markdown():
    title, text = read_html(ARTICLE, URL)
    assert title == "The title"
    lines = text.splitlines()
    assert lines[0] == "# Heading"
    assert "is **long** enough" in text
    assert "[a link](https://a.example/other#x)" in text
    assert "[another one](https://b.example/)" in text
    assert "- first of the list" in lines
    assert "| pi | 3.14 |" in text
    assert "```\nx = 1\ny = 2\n```" in text
    assert "hidden" not in text


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<title>a</title><h1>b</h1>", "a"),
        ("<meta property='og:title' content='c  d'><h1>b</h1>", "c d"),
        ("<h1>b <i>c</i></h1>", "b c"),
        ("<p>none</p>", None),
        (f"<title>{'x' * 1000}</title>", "x" * 300),
    ],
)
def test_titles(page, title):
    assert read_html(page, URL)[0] == title


def test_the_whole_text_of_a_page():
    page = (
        "<div>one<script>no</script><style>no</style><br>two</div>  tail<!-- no -->\n\n\n<p>t</p>"
    )
    tree = markup._parse(f"<body>{page}</body>")
    assert markup.plain_text(tree) == "one\ntwo\ntail\nt"


@pytest.mark.parametrize(
    "page", ["", " ", "<", "<!---->", "<div>" * 50_000, "<b>" * 50_000 + "x", "<?xml ?>", "</p>"]
)
def test_whatever_a_page_is_a_text_comes_of_it(page):
    assert isinstance(read_html(page, URL)[1], str)


def test_a_page_too_large_for_main_text_is_read_whole():
    page = "<nav>menu</nav><article>" + "<p>" + "word " * 200 + "</p>"
    page = page * (MAX_MARKUP // len(page) + 1)
    _, text = read_html(page, URL)
    assert text.startswith("menu\nword word")
    assert len(text) <= MAX_TEXT


def test_a_declaration_of_another_charset_inside_does_no_harm():
    page = '<?xml version="1.0" encoding="iso-8859-1"?><html><body><p>é ü</p></body></html>'
    assert "é ü" in read_html(page, URL)[1]


@pytest.mark.parametrize(
    ("body", "header", "text"),
    [
        ("é".encode(), None, "é"),
        (codecs.BOM_UTF8 + "é".encode(), None, "é"),
        (codecs.BOM_UTF16_LE + "é".encode("utf-16le"), None, "é"),
        (b"caf\xe9", "iso-8859-1", "café"),
        (b"caf\xe9 au lait, d\xe9j\xe0 vu, na\xefve", None, "café au lait, déjà vu, naïve"),
        ("Привет, мир! Это длинный текст.".encode("koi8-r") * 3, None, "Привет, мир!"),
        ("日本語のページです。これは長い文章です。".encode("shift_jis") * 9, None, "日本語の"),
        (b"a\0b", None, None),
        (b"\x7fELF\x02\x01\x01\0", None, None),
    ],
)
def test_texts_are_decoded(body, header, text):
    decoded = decode_body(body, header)
    assert decoded is text is None or decoded.startswith(text)
