"""Two executors behind one proxy: each container is found again, and one of the two may be away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import anthropic
import pytest
from sandboxes import RunningSandboxd, Talk, bash, code, function, plays, sandbox_tool, text, writes
from servers import start_proxy

NEW = 10
MOST = 60  # tries, each of which goes to either executor
ASKS = "first = await ask({'n': '1'})\nsecond = await ask({'n': '2'})\nprint(first, second)"
TOOLS = [sandbox_tool(), function("ask", "n")]


class Pair:
    """A proxy of two workers, and its executors by mark."""

    def __init__(self, proxy, executors):
        self.proxy = proxy
        self.executors = executors

    def talk(self, tools=TOOLS):
        return Talk(self.proxy.url, self.proxy.key, tools)

    def spread(self):
        """Conversations that wait for results, by number; some at each executor."""
        with ThreadPoolExecutor(4) as pool:
            talks = [*pool.map(lambda _: begun(self.talk()), range(NEW))]
        while len({mark(talk.container) for talk in talks}) < 2:
            assert len(talks) < MOST
            talks.append(begun(self.talk()))
        return talks


@pytest.fixture
def pair(simulator, sim, tmp_path):
    with (
        RunningSandboxd(tmp_path / "one", "sandlock") as one,
        RunningSandboxd(tmp_path / "two", "sandlock") as two,
    ):
        settings = {**one.settings, "SANDBOX_URL": f"{one.url},{two.url}", "WORKERS": "2"}
        with start_proxy(tmp_path / "proxy", simulator, **settings) as proxy:
            yield Pair(proxy, (one, two))


def mark(name):
    """The mark of an executor, from the id of a container or a file."""
    return name.partition("_")[2][:4]


def begun(talk):
    talk.ask()
    return talk


def answers(number):
    return {"ask": lambda n: f"{number}-{n}"}


def printed(message):
    (block,) = [each for each in message.content if each.type.endswith("_tool_result")]
    return block.content.stdout


def finish(talk, number):
    talk.answer(answers(number))
    return printed(talk.answer(answers(number)))


def test_every_container_is_found_again_at_its_executor(pair, sim):
    writes(sim, code(ASKS))
    talks = pair.spread()
    assert sum(one.state()["waiting"] for one in pair.executors) == len(talks)
    assert all(one.state()["waiting"] for one in pair.executors)
    with ThreadPoolExecutor(4) as pool:
        done = [*pool.map(finish, talks, range(len(talks)))]
    assert done == [f"{number}-1 {number}-2\n" for number in range(len(talks))]


def test_new_containers_go_to_the_other_when_one_is_away(pair, sim):
    """The client of a container that is lost is told so, and nobody else notices."""
    writes(sim, code(ASKS))
    talks = pair.spread()
    one, two = pair.executors
    one.process.kill()
    one.process.wait()
    waiting = two.state()["waiting"]
    fresh = [begun(pair.talk()) for _ in range(NEW)]
    assert two.state()["waiting"] == waiting + NEW
    (other,) = {mark(talk.container) for talk in fresh}
    kept = [talk for talk in talks if mark(talk.container) == other]
    assert len(kept) == waiting
    for number, talk in enumerate([*kept, *fresh]):
        assert finish(talk, number) == f"{number}-1 {number}-2\n"
    lost = next(talk for talk in talks if mark(talk.container) != other)
    with pytest.raises(anthropic.InternalServerError, match="Does `anthropic-bedrock-proxy"):
        lost.answer(answers(0))


def test_files_are_brought_from_one_to_the_other(pair, sim):
    """Those of the client, and those that code has made."""
    make = "mkdir -p $OUTPUT_DIR && echo made > $OUTPUT_DIR/made.txt"
    first = pair.talk([sandbox_tool()])
    plays(sim, [bash(make)], [text("Done.")])
    first.ask()
    (block,) = [each for each in first.steps[0].content if each.type.endswith("_tool_result")]
    (made,) = [each.file_id for each in block.content.content]
    assert mark(made) == mark(first.container)
    second = pair.talk([sandbox_tool()])
    for _ in range(MOST):
        second = pair.talk([sandbox_tool()])
        plays(sim, [bash("echo begun")], [text("Done.")])
        second.ask()
        if mark(second.container) != mark(made):
            break
    with anthropic.Anthropic(base_url=pair.proxy.url, api_key=pair.proxy.key) as sdk:
        for _ in range(MOST):
            sent = sdk.beta.files.upload(file=("sent.txt", b"sent\n")).id
            if mark(sent) != mark(second.container):
                break
    for name in (made, sent):
        assert mark(name) != mark(second.container)
    uploads = [{"type": "container_upload", "file_id": name} for name in (made, sent)]
    second.say([*uploads, {"type": "text", "text": "Read them."}])
    plays(sim, [bash("cat made.txt sent.txt")], [text("Done.")])
    second.ask()
    (block,) = [each for each in second.steps[-1].content if each.type.endswith("_tool_result")]
    assert block.content.stdout == "made\nsent\n"
