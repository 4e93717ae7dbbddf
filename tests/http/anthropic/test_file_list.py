"""Pages of files, as older and newer SDKs ask for them."""

from __future__ import annotations

import pytest

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.http.anthropic.file_list import MAX_IDS, page_of, shape
from anthropic_bedrock_proxy.sandbox.base import FileRecord


def record(number, **more):
    fields = {"filename": "a.csv", "mime_type": "text/csv", "size_bytes": 3, "downloadable": False}
    fields |= {"created_at": 1_796_000_000.25 + number}
    return FileRecord(id=f"file_{number:028x}", **fields | more)


FILES = [record(number) for number in (2, 5, 1, 4, 3)]


def numbers(page):
    return [int(each["id"].removeprefix("file_"), 16) for each in page["data"]]


def ask(records=FILES, **query):
    return page_of(records, {name: [str(value)] for name, value in query.items()})


def test_a_file_has_the_shape_of_anthropics():
    assert shape(record(0, expires_at=1_796_003_600.0)) == {
        "id": "file_0000000000000000000000000000",
        "type": "file",
        "filename": "a.csv",
        "mime_type": "text/csv",
        "size_bytes": 3,
        "created_at": "2026-11-30T00:53:20.250000Z",
        "expires_at": "2026-11-30T01:53:20.000000Z",
        "downloadable": False,
    }
    assert shape(record(0))["expires_at"] is None


def test_the_newest_come_first():
    page = ask()
    assert numbers(page) == [5, 4, 3, 2, 1]
    assert (page["has_more"], page["next_page"]) == (False, None)
    assert (page["first_id"], page["last_id"]) == (record(5).id, record(1).id)


def test_no_files_are_an_empty_page():
    page = {"data": [], "has_more": False, "first_id": None, "last_id": None, "next_page": None}
    assert ask([]) == page
    assert ask(scope_id="session_1") == page


def test_pages_follow_each_other_even_if_their_last_file_is_deleted():
    first = ask(limit=2)
    assert numbers(first) == [5, 4]
    assert first["has_more"]
    left = [each for each in FILES if each.id != first["last_id"]]
    second = ask(left, limit=2, page=first["next_page"])
    assert numbers(second) == [3, 2]
    third = ask(left, limit=2, page=second["next_page"])
    assert (numbers(third), third["next_page"]) == ([1], None)


def test_files_of_the_same_moment_are_listed_once_each():
    same = [record(number, created_at=1.0) for number in range(4)]
    first = ask(same, limit=2)
    assert numbers(first) + numbers(ask(same, page=first["next_page"])) == [3, 2, 1, 0]


def test_older_clients_go_on_by_ids():
    after = ask(limit=2, after_id=record(4).id)
    assert (numbers(after), after["has_more"]) == ([3, 2], True)
    assert not ask(after_id=record(2).id)["has_more"]
    before = ask(limit=2, before_id=record(2).id)
    assert (numbers(before), before["has_more"]) == ([4, 3], True)
    assert not ask(before_id=record(4).id)["has_more"]


@pytest.mark.parametrize("name", ["ids", "ids[]"])
def test_files_are_found_by_ids(name):
    page = page_of(FILES, {name: [record(2).id, record(4).id, "file_unknown"]})
    assert (numbers(page), page["next_page"]) == ([4, 2], None)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"limit": ["0"]}, "limit: must be a number from 1 to 1000"),
        ({"limit": ["1001"]}, "limit"),
        ({"limit": ["-1"]}, "limit"),
        ({"limit": ["1" * 100_000]}, "limit"),
        ({"limit": ["²"]}, "limit"),
        ({"page": ["x"]}, "page: not one of a listing"),
        ({"page": ["page_" + "f" * 100 + "_file_0"]}, "page: not one of a listing"),
        ({"after_id": ["x"]}, "after_id: no file x"),
        ({"before_id": ["x"]}, "before_id: no file x"),
        ({"after_id": ["x"], "before_id": ["y"]}, "give one of them"),
        ({"page": ["x"], "ids": ["y"]}, "give one of them"),
        ({"ids": [str(n) for n in range(MAX_IDS + 1)]}, "ids: at most 100"),
    ],
)
def test_bad_parameters_are_named(query, words):
    with pytest.raises(InvalidRequestError, match=words):
        page_of(FILES, query)
