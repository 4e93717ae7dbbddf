"""One simulator and one proxy process for the whole folder; every test finds the script empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import RunningProxy, RunningSimulator, start_proxy

from anthropic_bedrock_proxy.sim.client import SimClient


@pytest.fixture(scope="session")
def simulator(tmp_path_factory) -> Iterator[RunningSimulator]:
    with RunningSimulator(tmp_path_factory.mktemp("simulator")) as server:
        yield server


@pytest.fixture(scope="session")
def proxy(simulator, tmp_path_factory) -> Iterator[RunningProxy]:
    with start_proxy(tmp_path_factory.mktemp("proxy"), simulator) as server:
        yield server
        assert server.stop() == 0, server.logged()


@pytest.fixture
def sim(simulator) -> SimClient:
    """The simulator's control, with an empty script and an empty log."""
    simulator.control.reset()
    return simulator.control


@pytest.fixture
def start(sim, simulator, tmp_path) -> Iterator[Callable[..., RunningProxy]]:
    """`start(NAME="value")` runs one more proxy for the length of the test.

    `sim`: what an earlier test told the simulator is forgotten.
    """
    running: list[RunningProxy] = []

    def one_more(
        folder: Path | None = None, *, make_key: bool = True, **settings: str
    ) -> RunningProxy:
        provider = folder or tmp_path / f"proxy-{len(running)}"
        running.append(start_proxy(provider, simulator, make_key=make_key, **settings))
        return running[-1]

    yield one_more
    for server in running:
        server.stop()


@pytest.fixture(scope="module")
def web():
    """A small web: a search service, and a page that it finds."""
    from web_world import small_web  # noqa: PLC0415  # late, as below

    with small_web() as one:
        yield one


@pytest.fixture(scope="module")
def searching(web, simulator, tmp_path_factory) -> Iterator[RunningProxy]:
    """A proxy that searches and fetches there."""
    folder = tmp_path_factory.mktemp("proxy")
    with start_proxy(folder, simulator, **web.settings(simulator)) as server:
        yield server
        assert server.stop() == 0, server.logged()


@pytest.fixture(scope="module", params=["docker", "sandlock"])
def place(request, tmp_path_factory):
    """An executor with a neighbour in it, behind each kind of walls."""
    # Late: the old SDK's interpreter, which reads this file too, has nothing of what it needs.
    from attackers import besieged  # noqa: PLC0415

    with besieged(tmp_path_factory.mktemp("executor"), request.param) as made:
        yield made
