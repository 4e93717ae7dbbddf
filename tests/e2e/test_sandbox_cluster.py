"""Two proxies of two workers each over one executor, and what is left when something is killed."""

from __future__ import annotations

import os
import signal
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import anthropic
import pytest
from sandboxes import (
    MODELS,
    RunningSandboxd,
    Talk,
    code,
    descendants,
    function,
    health,
    living,
    sandbox_tool,
    sent,
    text,
    walls,
    writes,
)
from servers import start_proxy, wait_for
from walls import containers

CONVERSATIONS = 200
AT_ONCE = 10
TWICE = """
first = await ask({"n": "1"})
second = await ask({"n": "2"})
print(first, second)
"""
SLOW = """
import time
first = await ask({"n": "1"})
time.sleep(1.5)
count = globals().get("count", 0) + 1
print(first, count)
"""
TOOLS = [sandbox_tool(), function("ask", "n")]
KINDS = ("sandlock", "docker")


class Cluster:
    """Two proxies on one store, and their executor."""

    def __init__(self, folder, simulator, executor):
        self.executor = executor
        store = {"STORE_URL": f"sqlite:///{folder}/shared.db", "WORKERS": "2"}
        settings = {**executor.settings, **store}
        self.first = start_proxy(folder / "first", simulator, **settings)
        self.key = self.first.key
        self.second = start_proxy(folder / "second", simulator, make_key=False, **settings)

    def talk(self, proxy):
        return Talk(proxy.url, self.key, TOOLS)

    def stop(self):
        return self.first.stop(), self.second.stop()


@pytest.fixture(params=KINDS)
def cluster(request, simulator, sim, tmp_path):
    kind = request.param
    with RunningSandboxd(tmp_path / "executor", kind, SANDBOX_IDLE_SECONDS="60") as executor:
        one = Cluster(tmp_path, simulator, executor)
        try:
            yield one
        finally:
            one.stop()


def answers(call):
    return {"ask": lambda n: f"{call} {n}"}


def conversation(cluster, number):
    """One client that uses another proxy, and a new connection, for each request."""
    urls = [cluster.first.url, cluster.second.url]
    messages = [{"role": "user", "content": "Go ahead."}]
    body = {"model": MODELS["converse"], "max_tokens": 500, "tools": TOOLS, "messages": messages}
    for step in range(3):
        message = sent(urls[(number + step) % 2], cluster.key, body)
        body["container"] = message["container"]["id"]
        calls = [block for block in message["content"] if block["type"] == "tool_use"]
        messages.append({"role": "assistant", "content": message["content"]})
        messages.append({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": call["id"],
             "content": f"{number}-{call['input']['n']}"} for call in calls]})  # fmt: skip
    return message


def test_every_conversation_finishes_wherever_it_is_continued(cluster, sim):
    writes(sim, code(TWICE))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = [*pool.map(lambda n: conversation(cluster, n), range(CONVERSATIONS))]
    printed = [message["content"][0]["content"]["stdout"] for message in done]
    assert printed == [f"{number}-1 {number}-2\n" for number in range(CONVERSATIONS)]
    assert len({message["container"]["id"] for message in done}) == CONVERSATIONS


def test_a_conversation_outlives_the_worker_and_the_proxy_that_began_it(cluster, sim):
    writes(sim, code(TWICE))
    talk = cluster.talk(cluster.first)
    talk.ask()
    workers = wait_for(lambda: descendants(cluster.first.process.pid), "workers")
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not living(workers), "they are gone")
    talk.answer(answers("a"))  # at workers that took their place
    for pid in (cluster.first.process.pid, *descendants(cluster.first.process.pid)):
        os.kill(pid, signal.SIGKILL)
    cluster.first.process.wait()
    talk.use(cluster.second.url)
    last = talk.answer(answers("b"))
    assert last.content[0].content.stdout == "a 1 b 2\n"


def test_results_that_a_killed_proxy_took_along_can_be_sent_again(cluster, sim):
    """The code runs on meanwhile, once."""
    writes(sim, code(SLOW))
    talk = cluster.talk(cluster.first)
    talk.ask()
    running = cluster.executor.state
    with ThreadPoolExecutor(1) as pool:
        cut = pool.submit(talk.answer, answers("a"))
        wait_for(lambda: running()["running"] == 1, "the code runs")
        for pid in (cluster.first.process.pid, *descendants(cluster.first.process.pid)):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(anthropic.APIConnectionError):
            cut.result()
    cluster.first.process.wait()
    talk.use(cluster.second.url)
    assert talk.ask().content[0].content.stdout == "a 1 1\n"


def test_a_killed_executor_is_told_and_leaves_nothing(cluster, sim, tmp_path):
    writes(sim, code(TWICE))
    executor = cluster.executor
    talk = cluster.talk(cluster.first)
    talk.ask()
    left = descendants(executor.process.pid)
    executor.process.kill()
    executor.process.wait()
    with pytest.raises(anthropic.APIStatusError, match="Does `anthropic-bedrock-proxy sandboxd`"):
        talk.answer(answers("a"))
    kind = executor.environment["SANDBOX_ISOLATION"]
    with RunningSandboxd(tmp_path / "executor", kind, port=executor.port, SANDBOX_WARM="0"):
        talk.messages.pop()
        with pytest.raises(anthropic.BadRequestError, match="repeat the request without"):
            talk.answer(answers("a"))
        wait_for(lambda: not living(left), "the processes of the first are gone")
        if kind == "docker":
            assert containers(executor.name) == set()
        fresh = cluster.talk(cluster.second).run(answers("c"))
        assert fresh.content[0].content.stdout == "c 1 c 2\n"
    if kind == "docker":
        assert containers(executor.name) == set()


@pytest.fixture(params=KINDS)
def alone(request, simulator, sim, tmp_path):
    """A proxy with an executor of its own, whose temporary files are in a folder of their own."""
    name = f"alone-{os.getpid()}-{request.param}"
    with TemporaryDirectory() as temporary:  # a short path: it is that of a Unix socket, too
        settings = walls(request.param) | {"SANDBOX_NAME": name, "TMPDIR": temporary}
        with start_proxy(tmp_path / "alone", simulator, WORKERS="2", **settings) as proxy:
            proxy.name = name
            yield proxy


def begun(proxy, sim):
    """A conversation that waits, and all processes of the proxy."""
    writes(sim, code(TWICE))
    talk = Talk(proxy.url, proxy.key, TOOLS)
    talk.ask()
    return talk, descendants(proxy.process.pid)


def of(pids, command):
    """Those of the processes that are of this command of ours."""
    return {
        pid
        for pid in pids
        if command in Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    }


def assert_nothing_runs(proxy, before):
    wait_for(lambda: not living(before), "its processes are gone", 30)
    if proxy.environment["SANDBOX_ISOLATION"] == "docker":
        wait_for(lambda: not containers(proxy.name), "its containers are gone")


def test_a_proxy_that_is_told_to_end_takes_its_executor_along(alone, sim):
    _, before = begun(alone, sim)
    assert len(before) > 2
    assert alone.stop(30) == 0, alone.logged()
    assert_nothing_runs(alone, before)
    assert [*Path(alone.environment["TMPDIR"]).iterdir()] == []


def test_a_proxy_that_is_killed_takes_its_executor_along(alone, sim):
    _, before = begun(alone, sim)
    workers = of(before, "serve")
    assert len(workers) == 2
    for pid in (alone.process.pid, *workers):
        os.kill(pid, signal.SIGKILL)
    alone.process.wait()
    assert_nothing_runs(alone, before)
    assert [*Path(alone.environment["TMPDIR"]).rglob("*.sock")] == []


def test_a_proxy_that_is_killed_with_its_executor_leaves_nothing_that_runs(alone, sim, tmp_path):
    """Nobody is there to remove anything: what is inside sees the end of its stdin."""
    _, before = begun(alone, sim)
    for pid in (alone.process.pid, *of(before, "serve"), *of(before, "sandboxd")):
        os.kill(pid, signal.SIGKILL)
    alone.process.wait()
    wait_for(lambda: not living(before), "its processes are gone", 30)
    if alone.environment["SANDBOX_ISOLATION"] == "docker":
        wait_for(lambda: not containers(alone.name, "running"), "they have ended")
        again = {**walls("docker"), "SANDBOX_NAME": f"{alone.name}-again"}
        with RunningSandboxd(tmp_path / "another", "docker", **again):  # whatever its name is
            wait_for(lambda: not containers(alone.name), "they are removed")


def test_an_executor_of_its_own_that_is_killed_is_replaced(alone, sim):
    talk, before = begun(alone, sim)
    (executor,) = of(before, "sandboxd")
    left = {executor, *descendants(executor)}
    os.kill(executor, signal.SIGKILL)
    wait_for(lambda: executor not in living({executor}), "it is gone")
    with pytest.raises(anthropic.BadRequestError, match="repeat the request without"):
        talk.answer(answers("a"))
    wait_for(lambda: not living(left), "what it has left is gone")
    fresh = Talk(alone.url, alone.key, TOOLS).run(answers("c"))
    assert fresh.content[0].content.stdout == "c 1 c 2\n"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_without_docker_the_proxy_serves_and_says_how_to_mend_it(start, sim, tmp_path, stream):
    dead = f"unix://{tmp_path}/docker.sock"
    proxy = start(SANDBOX_ISOLATION="docker", DOCKER_HOST=dead)
    plain = Talk(proxy.url, proxy.key, [], stream=stream)
    sim.script([{"times": "forever", "reply": {"content": [text("Plain.")]}}])
    assert plain.ask().content[0].text == "Plain."
    with pytest.raises(anthropic.InternalServerError, match="Code cannot be run") as caught:
        Talk(proxy.url, proxy.key, [sandbox_tool()], stream=stream).ask()
    assert "start it, or set DOCKER_HOST" in str(caught.value)
    assert len(sim.requests()) == 1  # the model was not asked in vain

    def told():
        status, page = health(proxy.url)
        return page if status == 503 else None

    page = wait_for(told, "it is known")
    (executor,) = page["executors"]
    assert page["status"] == "unhealthy"
    assert executor["reason"] in str(caught.value)
    again = Talk(proxy.url, proxy.key, [], stream=stream)
    assert again.ask().content[0].text == "Plain."


def test_it_mends_itself_when_docker_comes(start, sim, tmp_path):
    docker = walls("docker")
    link = tmp_path / "docker.sock"
    name = f"late-{os.getpid()}"
    proxy = start(**docker, DOCKER_HOST=f"unix://{link}", SANDBOX_NAME=name)
    writes(sim, code("print(1)"))
    with pytest.raises(anthropic.InternalServerError, match="Code cannot be run"):
        Talk(proxy.url, proxy.key, [sandbox_tool()]).ask()
    link.symlink_to("/var/run/docker.sock")
    wait_for(lambda: health(proxy.url)[1]["status"] == "healthy", "Docker is seen", 30)
    message = Talk(proxy.url, proxy.key, [sandbox_tool()]).ask()
    assert message.content[1].content.stdout == "1\n"
    assert proxy.stop(30) == 0
    wait_for(lambda: not containers(name), "its containers are gone")


def test_a_proxy_with_a_wrong_token_says_so(start, sim, tmp_path):
    with RunningSandboxd(tmp_path / "executor", "sandlock") as executor:
        proxy = start(SANDBOX_URL=executor.url, SANDBOX_TOKEN="another-token-than-that-of-it")
        with pytest.raises(anthropic.InternalServerError, match="does not know this SANDBOX_TOKEN"):
            Talk(proxy.url, proxy.key, [sandbox_tool()]).ask()
        with pytest.raises(urllib.error.HTTPError, match="401"):
            executor.state(token="no")
