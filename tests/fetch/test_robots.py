"""Rules of robots.txt: read, kept for an hour, and asked at every hop of a fetch."""

from __future__ import annotations

import asyncio

import pytest
from fakeserver import ok, serving
from test_fetcher import LocalDialer, Names, redirect, run

from anthropic_bedrock_proxy.fetch.base import (
    BusyError,
    Fetched,
    FetchError,
    NotAccessibleError,
    NotAllowedError,
    StatusError,
    TooLargeError,
    WrongTypeError,
)
from anthropic_bedrock_proxy.fetch.fetcher import FetchOptions, WebFetcher
from anthropic_bedrock_proxy.fetch.robots import FAILED_SECONDS, KEPT_SECONDS, Robots

ORIGIN = "https://a.example"
RULES = b"User-agent: *\nDisallow: /private\n\nUser-agent: nosy\nDisallow: /\n"


class Site:
    """The robots.txt of sites, and a clock."""

    def __init__(self, *outcomes, user_agent="curious/1.0 (+https://b.example)"):
        self.now = 0.0
        self.asked = []
        self._outcomes = list(outcomes)
        self.robots = Robots(user_agent, now=lambda: self.now)

    async def _fetch(self, url):
        self.asked.append(url)
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return Fetched(outcome, "text/plain", url)

    def allows(self, target="/", origin=ORIGIN):
        async def check():
            await self.robots.check(origin, target, self._fetch)

        try:
            asyncio.run(check())
        except NotAllowedError:
            return False
        return True


def test_rules_are_asked_once_an_hour():
    site = Site(RULES, b"")
    assert site.allows("/open")
    assert not site.allows("/private/a?b")
    assert site.asked == [f"{ORIGIN}/robots.txt"]
    site.now += KEPT_SECONDS
    assert site.allows("/private/a?b")
    assert len(site.asked) == 2


def test_rules_for_our_own_name():
    assert not Site(RULES, user_agent="Nosy/2 (x)").allows("/open")


@pytest.mark.parametrize(
    "error",
    [
        StatusError("no", status=404),
        StatusError("no", status=403),
        WrongTypeError("x"),
        TooLargeError("x"),
    ],
)
def test_a_site_without_the_file_has_no_rules(error):
    site = Site(error)
    assert site.allows("/private")
    assert site.allows("/private")
    assert len(site.asked) == 1


@pytest.mark.parametrize("error", [StatusError("no", status=503), NotAccessibleError("no")])
def test_a_site_whose_file_cannot_be_had_is_left_alone_for_a_minute(error):
    site = Site(error, b"")
    for _ in range(2):
        with pytest.raises(NotAccessibleError, match="cannot be had"):
            site.allows()
    assert len(site.asked) == 1
    site.now += FAILED_SECONDS
    assert site.allows()


def test_our_own_queue_says_nothing_about_a_site():
    site = Site(BusyError("busy"), RULES)
    with pytest.raises(BusyError):
        site.allows()
    assert site.allows()


def test_what_is_kept_is_bounded():
    body = b"Disallow: /a\n" * 20_000
    site = Site(*[body] * 8)
    for number in (*range(7), 6, 0):
        site.allows(origin=f"https://{number}.example")
    assert len(site.asked) == 8  # the first was forgotten, the last was not


def test_a_fetcher_asks_at_every_hop():
    requests = []

    async def answer(request, writer):
        target, host = request.split(b" ")[1], request.split(b"host: ")[1].split(b"\r\n")[0]
        requests.append((host + target).decode())
        answers = {
            b"a.example/robots.txt": ok(RULES, b"content-type: text/plain\r\n"),
            b"a.example/p": redirect("https://b.example/private"),
            b"b.example/robots.txt": ok(RULES, b"content-type: text/plain\r\n"),
        }
        writer.write(answers[host + target])

    async def main():
        async with serving(answer) as server:
            fetcher = WebFetcher(
                FetchOptions(robots=True, user_agent="curious/1.0"),
                resolver=Names({"b.example": ["1.1.1.1"]}),
                dialer=LocalDialer(server.port),
            )
            with pytest.raises(FetchError) as refused:
                await fetcher.fetch(
                    f"{ORIGIN}/p", accept=frozenset(("text/*",)), max_bytes=1000, key="k"
                )
            fetcher.close()
            assert isinstance(refused.value, NotAllowedError)
            heads = b"".join(server.requests)
            assert heads.count(b"user-agent: curious/1.0\r\n") == 3

    run(main)
    assert requests == [
        "a.example/robots.txt",
        "a.example/p",
        "b.example/robots.txt",
    ]
