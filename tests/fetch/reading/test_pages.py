"""Pages: fetched, read, and refused by what they are."""

from __future__ import annotations

import asyncio

import pytest

from anthropic_bedrock_proxy.fetch.base import (
    Fetched,
    NotAccessibleError,
    Page,
    UnreadableError,
    WrongTypeError,
)
from anthropic_bedrock_proxy.fetch.reading.frames import ReadingAnswer
from anthropic_bedrock_proxy.fetch.reading.pages import ACCEPTED, WebPages

URL, LAST = "https://a.example/a", "https://a.example/b"


class World:
    """A fetcher and a reader, scripted."""

    def __init__(self, body=b"body", media_type="text/html", answer=None):
        self.fetched = Fetched(body, media_type, LAST, None, 5.0)
        self.answer = answer or ReadingAnswer(title="t", text="# t")
        self.asked, self.read_for, self.closed = [], [], []
        self.pages = WebPages(self, self, max_bytes=1000)

    async def fetch(self, url, **options):
        self.asked.append((url, options))
        return self.fetched

    async def read(self, fetched, key):
        self.read_for.append((fetched, key))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def get(self, **options):
        return asyncio.run(self.pages.read(URL, key="k", **options))


def test_a_page_is_fetched_and_read():
    world = World()
    assert world.get() == Page(LAST, 5.0, title="t", text="# t")
    options = {"accept": ACCEPTED, "max_bytes": 1000, "key": "k", "fresh": False}
    assert world.asked == [(URL, options)]
    assert world.read_for == [(world.fetched, "k")]


def test_a_fresh_one():
    world = World()
    world.get(fresh=True)
    assert world.asked[0][1]["fresh"] is True


def test_a_pdf_is_not_read():
    world = World(b"%PDF-1.7 x", "application/pdf")
    assert world.get() == Page(LAST, 5.0, pdf=b"%PDF-1.7 x")
    assert not world.read_for


@pytest.mark.parametrize(
    ("body", "media_type", "error"),
    [
        (b"", "text/html", NotAccessibleError),
        (b"<html>", "application/pdf", WrongTypeError),
    ],
)
def test_what_is_no_page(body, media_type, error):
    with pytest.raises(error):
        World(body, media_type).get()


def test_what_the_reader_says_is_said():
    with pytest.raises(UnreadableError):
        World(answer=UnreadableError("x")).get()


def test_pictures_are_not_asked_for():
    assert not any(kind.startswith("image/") for kind in ACCEPTED)
