"""Everything in the corpus, at once and byte by byte: what was seen, what was answered."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest
from corpus import Run, load

CASES = load()


def test_the_corpus_is_large_and_has_no_case_twice():
    assert len(CASES) >= 200
    names = Counter((case.kind, case.name) for case in CASES)
    assert [name for name, count in names.items() if count > 1] == []
    assert [case.name for case in CASES if case.stays_open is None or not case.steps] == []


@pytest.mark.parametrize("step", [None, 1], ids=["at once", "byte by byte"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.name}")
def test_a_case_is_seen_and_answered_as_it_is_written_down(case, step):
    run = asyncio.run(Run().through(case, step))
    expected = [answer for answer in case.answers if answer.method]
    seen = run.recorder.seen
    assert [(one.method, one.target, one.body) for one in seen] == [
        (one.method, one.path, one.body) for one in expected
    ]
    assert all(one.shows(other) for one, other in zip(expected, seen, strict=True))
    assert not any(name.startswith(b"x-trailer") for one in seen for name in one.headers)
    answers = run.answers(
        [answer.method or "GET" for answer in case.answers if answer.status != 100]
    )
    assert [answer.status for answer in answers] == [answer.status for answer in case.answers]
    for answer, wanted in zip(answers, case.answers, strict=True):
        if answer.status != 100:
            assert answer.complete
            assert answer.headers["request-id"].startswith("req_")
        if answer.status >= 400 and wanted.method != "HEAD":
            error = json.loads(answer.body)
            assert error["request_id"] == answer.headers["request-id"]
            assert (error["type"], set(error["error"]) >= {"type", "message"}) == ("error", True)
    assert run.open is case.stays_open
