"""When an origin is asked, and what its subscribers are told; on a clock of the test's own."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.aws.resolver.feed import Feed, Keys, LookUpError
from anthropic_bedrock_proxy.aws.resolver.pace import Pace

IDENTITY = {"name": "x"}


class Origin:
    """Gives what `answers` says, one after the other; the last for ever."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.now = 1000.0
        self.passed = 0.0  # of the seconds that no setting of the clock changes
        self.asked = 0
        self.times = []

    def look_up(self, identity):
        assert identity is IDENTITY
        self.asked += 1
        self.times.append(self.passed)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def feed(self, reports=None, **options):
        return Feed(
            IDENTITY,
            look_up=self.look_up,
            report=(reports if reports is not None else []).append,
            pace=Pace(),
            now=lambda: self.now,
            **{"monotonic": lambda: self.now, **options},
        )


class Ears:
    def __init__(self):
        self.heard = []

    def tell(self, message):
        self.heard.append(message)


def keys(name="A", left=3600.0):
    return Keys(name, "secret", "token", None if left is None else 1000.0 + left)


def test_subscribers_are_told_once_there_is_something_and_of_every_change():
    origin = Origin(keys("A"), keys("B"))
    feed, early, late = origin.feed(), Ears(), Ears()
    feed.subscribe(early, 7)
    assert early.heard == []
    feed.step()
    feed.subscribe(late, 8)
    feed.unsubscribe(early)
    feed.step()
    assert early.heard == [{"id": 7, "keys": keys("A")._asdict(), "failure": None}]
    assert late.heard == [
        {"id": 8, "keys": keys(name)._asdict(), "failure": None} for name in ("A", "B")
    ]


@pytest.mark.parametrize(
    ("left", "pause"),
    [(3600.0, 3000.0), (43_200.0, 42_300.0), (60.0, 50.0), (6.0, 5.0), (0.5, 5.0), (None, 900.0)],
)
def test_the_pause_after_new_keys(left, pause):
    assert Origin(keys(left=left)).feed().step() == pytest.approx(pause)


def test_the_same_keys_are_asked_for_more_often():
    origin = Origin(keys(left=3600.0), keys(left=3600.0), keys(left=3700.0), keys(left=None))
    feed = origin.feed()
    assert feed.step() == 3000.0
    origin.now += 3000.0
    assert feed.step() == 120.0
    origin.now += 500.0
    assert feed.step() == pytest.approx(100.0)  # the same with another end, 200 s from now
    assert feed.step() == 900.0


def test_failures_are_reported_and_keep_the_keys():
    no, other = LookUpError("no"), LookUpError("other")
    origin, reports, ears = Origin(keys(), no, no, other, keys("B")), [], Ears()
    feed = origin.feed(reports)
    feed.subscribe(ears, 1)
    for _ in range(5):
        feed.step()
    assert [message["failure"] for message in ears.heard] == [None, "no", "no", "other", None]
    assert [message["keys"]["access_key_id"] for message in ears.heard] == ["A"] * 4 + ["B"]
    no, other = ({"event": "failed", "name": "x", "reason": why} for why in ("no", "other"))
    found = {"event": "found", "name": "x"}
    assert reports == [found, no, no, other, found]


def test_keys_that_have_expired_are_none():
    reports = []
    Origin(keys(left=0.0)).feed(reports).step()
    assert reports[0]["reason"] == "the keys that were found have expired"


def test_a_look_up_that_hangs_says_so_and_what_it_says_later_is_no_news():
    reports, ears = [], Ears()
    feed = None

    def look_up(_):
        assert feed.began == 1000.0
        feed.hang("no answer")
        raise LookUpError("killed")

    feed = Feed(
        IDENTITY,
        look_up=look_up,
        report=reports.append,
        pace=Pace(),
        now=lambda: 1000.0,
        monotonic=lambda: 1000.0,
    )
    feed.subscribe(ears, 1)
    feed.step()
    assert feed.began is None
    assert [report["reason"] for report in reports] == ["no answer"] * 2
    assert {message["failure"] for message in ears.heard} == {"no answer"}


class EnoughError(Exception):
    pass


def test_refused_keys_are_looked_up_again_but_not_by_the_thousand():
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            raise EnoughError
        origin.now += seconds
        feed.refuse(ears, "A")

    origin, ears = Origin(keys()), Ears()
    feed = origin.feed(sleep=sleep)
    feed.subscribe(ears, 1)
    feed.refuse(ears, "A")
    with pytest.raises(EnoughError):
        feed.run()
    assert slept == [5.0, 5.0, 5.0]
    assert origin.asked == 3


class Alarm(threading.Event):
    """An event that nobody sets, on the clock of an `Origin`; `steps` are added to its time."""

    def __init__(self, origin, *steps):
        super().__init__()
        self.origin = origin
        self.steps = list(steps)
        self.waited = 0.0

    def wait(self, timeout=None):
        assert timeout <= threading.TIMEOUT_MAX
        if self.waited > 50_000:
            raise EnoughError
        self.waited += timeout
        self.origin.passed += timeout
        self.origin.now += timeout + (self.steps.pop(0) if self.steps else 0)
        return False


@pytest.mark.parametrize(
    ("expires_at", "steps", "asked"),
    [
        (253_402_300_799.0, (), 1),  # the year 9999: nobody can wait until then
        (1000.0 + 90_000, (), 1),
        (1000.0 + 90_000, (0, 85_000), 2),  # a laptop slept meanwhile
        (1000.0 + 90_000, (0, -85_000), 1),
    ],
)
def test_a_pause_ends_before_the_keys_do_however_the_clock_is_set(expires_at, steps, asked):
    origin = Origin(Keys("A", "secret", "token", expires_at))
    alarm = Alarm(origin, *steps)
    feed = origin.feed(wake=alarm, monotonic=lambda: origin.passed)
    feed.subscribe(Ears(), 1)
    with pytest.raises(EnoughError):
        feed.run()
    assert len([at for at in origin.times if at < 60.0]) == asked


def test_refused_keys_that_were_replaced_already_are_answered_with_the_new_ones():
    origin, ears = Origin(keys("B")), Ears()
    feed = origin.feed()
    feed.step()
    feed.subscribe(ears, 1)
    feed.refuse(ears, "A")
    feed.refuse(Ears(), "A")  # who has left meanwhile
    assert [message["keys"]["access_key_id"] for message in ears.heard] == ["B", "B"]
    assert not feed._wake.is_set()


def test_what_nobody_needs_any_more_is_not_looked_up_and_cannot_be_joined():
    reports, ears = [], Ears()
    origin = Origin(keys())
    feed = origin.feed(reports)
    feed.run()
    assert (origin.asked, feed.ended) == (0, True)
    assert reports == [{"event": "ended", "name": "x"}]
    assert not feed.subscribe(ears, 1)
    assert ears.heard == []


@given(st.integers(1, 10_000), st.none() | st.floats(-1e6, 1e6))
def test_pauses_after_failures_grow_and_are_bounded(failures, left):
    pace = Pace()
    pause = pace.after_failure(failures, left)
    most = min(60.0, 2.0 ** min(failures - 1, 10))
    assert 0.75 * min(1.0, most) <= pause <= most
    if left is not None and left > 2:
        assert pause <= left / 2


@given(st.floats(0, 1e6), st.booleans())
def test_pauses_after_keys_end_before_the_keys_do(left, same):
    pause = Pace().after_keys(left, same=same)
    assert pause >= 5.0
    assert pause < left or left <= 6.0
