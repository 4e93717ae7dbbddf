"""Room that keys share."""

from __future__ import annotations

from anthropic_bedrock_proxy.fetch.fair_room import FairRoom


def test_a_key_gets_a_quarter():
    room = FairRoom(100)
    assert room.take("a", 20)
    assert not room.take("a", 6)
    assert room.take("a", 5)
    assert room.take("b", 25)
    assert room.used == 50


def test_all_keys_get_no_more_than_there_is():
    room = FairRoom(10)
    assert [room.take(key, 2) for key in "abcdef"] == [True] * 5 + [False]
    room.give_back("c", 2)
    assert room.take("f", 2)
    assert room.used == 10


def test_a_key_that_has_given_all_back_is_forgotten():
    room = FairRoom(100)
    room.take("a", 10)
    room.take("a", 10)
    room.give_back("a", 10)
    assert room.keys() == {"a"}
    room.give_back("a", 10)
    assert (room.keys(), room.used) == (set(), 0)


def test_nothing_is_left_of_what_found_no_room():
    room = FairRoom(100)
    assert not room.take("a", 26)
    assert (room.keys(), room.used) == (set(), 0)
