"""Room for a new connection: the one that has waited longest for a request ends for it."""

from __future__ import annotations

import asyncio

import pytest
from client_states import STATES, Application
from http_client import Connection

from anthropic_bedrock_proxy.http.server.bounds import ConnectionBounds


class Crowd:
    """Connections of one server, in memory."""

    def __init__(self, bounds):
        self.application = Application()
        self.first = Connection(self.application, lambda _: None, bounds=bounds)
        self.server = self.first.server
        self.all = [self.first]

    def come(self, data=b"", *, deaf=False):
        """One more connects and sends something; returns its place in `stand`."""
        connection = Connection(self.application, lambda _: None, server=self.server)
        connection.transport.blocked = deaf
        self.all.append(connection)
        if data:
            connection.feed(data)
        return len(self.all) - 1

    def leave(self, index):
        self.all[index].transport.abort()

    @property
    def stand(self):
        """Who is there still."""
        there = self.server._connections
        return [n for n, each in enumerate(self.all) if each.protocol in there]


async def rounds():
    for _ in range(6):
        await asyncio.sleep(0)


def crowd(run, connections):
    async def main():
        some = Crowd(ConnectionBounds(connections=connections))
        await run(some)
        await rounds()
        for index in some.stand:
            some.leave(index)
        await rounds()
        assert not some.server._connections
        assert not some.server._eviction._longest

    asyncio.run(main())


def test_a_new_connection_ends_the_one_that_has_waited_longest():
    async def run(some):
        some.server.clock.now += 1
        some.come(STATES["at work"])
        some.server.clock.now += 1
        some.come(STATES["idle"])
        await rounds()
        some.server.clock.now += 1
        some.first.feed(STATES["idle"])  # it waits anew
        await rounds()
        some.come()
        await rounds()
        assert some.stand == [0, 1, 3]

    crowd(run, connections=3)


def test_where_all_are_served_a_new_connection_is_ended_itself():
    async def run(some):
        some.first.feed(STATES["at work"])
        some.come(STATES["streaming"])
        some.come()
        await rounds()
        assert some.stand == [0, 1]

    crowd(run, connections=2)


def test_connections_that_come_at_once_end_as_many():
    async def run(some):
        for _ in range(2):
            some.come()
        for _ in range(100):
            some.come()
        await rounds()
        assert some.stand == [100, 101, 102]

    crowd(run, connections=3)


@pytest.mark.parametrize("state", ["lingering", "last answer", "large answer"])
def test_connections_that_are_ending_already_make_room_too(state):
    """They have a time of their own, and would else stand beside as many others as came."""

    async def run(some):
        some.leave(0)
        for _ in range(3):
            some.server.clock.now += 1
            some.come(STATES[state], deaf=state != "lingering")
            await rounds()
        assert some.stand == [1, 2, 3]
        for _ in range(2):
            some.server.clock.now += 1
            some.come()
            await rounds()
        assert some.stand == [3, 4, 5]

    crowd(run, connections=3)


def test_room_costs_no_look_at_all_connections_for_each_that_comes():
    async def run(some):
        for _ in range(2000):
            some.come()
        await rounds()
        looked = 0

        class Counting(set):
            def __iter__(self):
                nonlocal looked
                looked += len(self)
                return super().__iter__()

        some.server._connections = Counting(some.server._connections)
        for _ in range(500):
            some.come()
            await rounds()
        assert looked < 500 * 50
        assert len(some.server._connections) == 2000

    crowd(run, connections=2000)
