"""A worker's side of the child process: what requests see, and the child's own bad days."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import pytest
from lookups import CHAIN, PACE, children, environ_of, is_running, static_keys, told, until

from anthropic_bedrock_proxy.aws.credentials import CredentialsError
from anthropic_bedrock_proxy.aws.resolver.host import Host
from anthropic_bedrock_proxy.aws.resolver.meeting import Meeting
from anthropic_bedrock_proxy.aws.resolver.resolver import Identity, ResolvedSource, Resolver
from anthropic_bedrock_proxy.aws.sigv4 import Credentials

OLD, NEW = Credentials("OLD", "s", "t", 2000.0), Credentials("NEW", "s", "t", 4000.0)


class Story:
    """A source whose child is the test."""

    def __init__(self, **options):
        self.now = 1000.0
        self.refused = []
        self.source = ResolvedSource(
            CHAIN,
            self.refused.append,
            now=lambda: self.now,
            **{"wait_seconds": 60.0, **options},
        )


class TestSource:
    def test_all_wait_for_the_first_keys(self):
        async def main():
            story = Story()
            waiting = [asyncio.create_task(story.source.get()) for _ in range(3)]
            await asyncio.sleep(0)
            waiting[0].cancel()
            story.source.tell(OLD, None)
            assert await waiting[1] is await waiting[2] is story.source.current is OLD

        asyncio.run(main())

    def test_who_waits_is_told_why_there_are_none_and_who_comes_later_at_once(self):
        async def main():
            story = Story()
            waiting = asyncio.create_task(story.source.get())
            await asyncio.sleep(0)
            story.source.tell(None, "the vault said no")
            for one in (waiting, story.source.get()):
                with pytest.raises(CredentialsError, match="the chain: the vault said no"):
                    await one

        asyncio.run(main())

    def test_nobody_waits_for_ever(self):
        async def main():
            story = Story(wait_seconds=0.01)
            with pytest.raises(CredentialsError, match="the chain: no answer yet"):
                await story.source.get()
            story.source.tell(OLD, None)
            story.now = 1995.0  # the child died, and they have all but expired
            assert story.source.current is None
            with pytest.raises(CredentialsError, match="no answer yet"):
                await story.source.get()

        asyncio.run(main())

    def test_a_failure_does_not_take_the_keys_away(self):
        async def main():
            story = Story()
            story.source.tell(OLD, None)
            story.source.tell(OLD, "gone")
            assert await story.source.get() is OLD
            story.now = 1990.1
            with pytest.raises(CredentialsError, match="gone"):
                await story.source.get()
            story.source.tell(NEW, None)
            assert await story.source.get() is NEW

        asyncio.run(main())

    def test_refused_keys_are_reported_once_and_others_waited_for(self):
        async def main():
            story = Story()
            source = story.source
            source.invalidate()  # nothing to refuse yet
            source.tell(OLD, None)
            source.invalidate(NEW)  # late, of keys that are not in use
            assert source.current is OLD
            source.invalidate(OLD)
            source.invalidate(OLD)
            assert (source.current, story.refused) == (None, ["OLD"])
            waiting = asyncio.create_task(source.get())
            await asyncio.sleep(0)
            assert not waiting.done()
            source.tell(NEW, None)
            assert await waiting is NEW

        asyncio.run(main())

    def test_refused_keys_do_not_come_back_with_a_failure(self):
        async def main():
            story = Story()
            story.source.tell(OLD, None)
            story.source.invalidate(OLD)
            story.source.tell(OLD, "gone")
            with pytest.raises(CredentialsError, match="gone"):
                await story.source.get()
            story.source.tell(OLD, None)  # looked up again, and the same: let AWS judge
            assert await story.source.get() is OLD

        asyncio.run(main())


def test_nothing_is_started_before_a_source_is_asked_for(tmp_path):
    async def main():
        before = children()
        resolver = Resolver(environ_of(tmp_path))
        await asyncio.sleep(0)
        assert children() == before
        await resolver.close()

    asyncio.run(main())


def test_files_that_change_are_seen_and_the_child_ends_with_the_resolver(tmp_path):
    async def main():
        static_keys(tmp_path)
        resolver = Resolver(environ_of(tmp_path), pace=PACE)
        source = resolver.source(CHAIN)
        assert resolver.source(CHAIN) is source
        assert (await source.get()) == Credentials("AKIAFILE", "s")
        (child,) = children()
        static_keys(tmp_path, "AKIANEW")
        await until(lambda: source.current.access_key_id == "AKIANEW")
        await resolver.close()
        assert not is_running(child)
        # And again, as a start does that has looked at the store before it serves.
        assert (await resolver.source(CHAIN).get()).access_key_id == "AKIANEW"
        await resolver.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("not an ini [", "Unable to parse config file"),
        ("[default]\naws_access_key_id = AKIA\n", "Partial credentials"),
        ("[default]\naws_access_key_id = AK\u00e9\naws_secret_access_key = s\n", "is none"),
        ("", "nothing in it gave credentials"),
    ],
)
def test_files_that_hold_none(tmp_path, content, reason, caplog):
    async def main():
        (tmp_path / ".aws").mkdir()
        (tmp_path / ".aws" / "credentials").write_text(content)
        resolver = Resolver(environ_of(tmp_path), pace=PACE)
        source = resolver.source(CHAIN)
        with pytest.raises(CredentialsError, match=reason):
            await source.get()
        await until(lambda: len(told(caplog)) == 1)
        static_keys(tmp_path)
        await until(lambda: source.current is not None)
        await resolver.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        (Identity(name="x", region="us-east-1", profile="none"), "could not be found"),
        (
            Identity(name="x", region="no such region", role_arn="a", access_key_id="A"),
            "egion|valid",
        ),
    ],
)
def test_identities_that_cannot_be_had(tmp_path, identity, reason):
    async def main():
        resolver = Resolver(environ_of(tmp_path), pace=PACE)
        with pytest.raises(CredentialsError, match=reason):
            await resolver.source(identity).get()
        await resolver.close()

    asyncio.run(main())


def threads(pid):
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_what_nobody_uses_is_looked_up_no_longer_and_may_be_asked_for_again(tmp_path):
    async def main():
        runs = tmp_path / "runs"
        keys = json.dumps({"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "s"})
        (tmp_path / "process.sh").write_text(f"printf x >> {runs}; echo '{keys}'\n")
        static_keys(tmp_path)
        config = f"[profile gone]\ncredential_process = sh {tmp_path}/process.sh\n"
        (tmp_path / ".aws" / "config").write_text(config)
        resolver = Resolver(environ_of(tmp_path), pace=PACE)
        stays = resolver.source(CHAIN)
        identity = Identity(name="gone", region="us-east-1", profile="gone")
        source = resolver.source(identity)
        await source.get()
        await stays.get()
        (child,) = children()
        assert threads(child) == 3
        del source
        await until(lambda: threads(child) == 2)
        asked = len(runs.read_text())
        static_keys(tmp_path, "AKIANEW")
        await until(lambda: stays.current.access_key_id == "AKIANEW")  # time has passed
        assert len(runs.read_text()) == asked
        assert (await resolver.source(identity).get()).access_key_id == "AKIA"
        await resolver.close()

    asyncio.run(main())


def test_a_child_that_is_killed_is_replaced_and_keys_stay_in_use(tmp_path, caplog):
    async def main():
        static_keys(tmp_path)
        resolver = Resolver(environ_of(tmp_path), pace=PACE)
        source = resolver.source(CHAIN)
        await source.get()
        (child,) = children()
        static_keys(tmp_path, "AKIANEW")
        os.kill(child, signal.SIGKILL)
        assert source.current is not None
        await until(lambda: source.current.access_key_id == "AKIANEW")
        assert "ended with status -9" in told(caplog)[0]
        await resolver.close()

    asyncio.run(main())


def test_a_process_that_outlives_its_look_up_is_killed(tmp_path, caplog):
    async def main():
        (tmp_path / ".aws").mkdir()
        pid = tmp_path / "pid"
        stubborn = f"trap '' TERM; echo $$ > {pid}; while :; do sleep 0.1; done"
        (tmp_path / "stubborn.sh").write_text(stubborn)
        config = tmp_path / ".aws" / "config"
        config.write_text(f"[default]\ncredential_process = sh {tmp_path}/stubborn.sh\n")
        resolver = Resolver(environ_of(tmp_path), pace=PACE._replace(hang=0.5))
        source = resolver.source(CHAIN)
        with pytest.raises(CredentialsError, match=r"no answer within 0\.5 s"):
            await source.get()
        first = int(pid.read_text())
        await until(lambda: len([line for line in told(caplog) if "status 3" in line]) == 2)
        config.unlink()
        static_keys(tmp_path)
        await until(lambda: source.current is not None)  # a new child came
        assert not is_running(first)
        again = "AWS credentials from the chain can be had again"
        await until(lambda: again in told(caplog))
        why = "no AWS credentials from the chain: no answer within 0.5 s"
        assert (told(caplog).count(why), told(caplog).count(again)) == (1, 1)
        await resolver.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    "environ",
    [{"PYTHONHOME": "/nowhere"}, {"AWS_CONFIG_FILE": "a\0b"}],
    ids=["an interpreter without its library", "a NUL in .env"],
)
def test_a_program_that_does_not_start_is_tried_again_with_pauses(environ, caplog):
    async def main():
        slept = []

        async def sleep(seconds):
            slept.append(seconds)
            if len(slept) == 3:
                raise asyncio.CancelledError

        host = Host(Meeting(), environ, PACE, sleep=sleep)
        with pytest.raises(asyncio.CancelledError):
            await host.run()
        assert slept == [2.0, 4.0, 8.0]
        assert len(told(caplog)) == 3

    asyncio.run(main())


class TestWorkers:
    """Processes that were forked from one, as `serve` does."""

    def worker(self, resolver, pipe):
        """Forks a process that writes the keys it gets into `pipe`; returns its id."""
        pid = os.fork()
        if pid:
            return pid

        async def main():
            source, told = resolver.source(CHAIN), None
            while True:
                if (keys := await source.get()) != told:
                    told = keys
                    line = json.dumps([os.getpid(), keys.access_key_id, children()])
                    os.write(pipe, f"{line}\n".encode())
                await asyncio.sleep(0.01)

        try:
            asyncio.run(main())
        finally:
            os._exit(1)

    def test_one_child_for_all_and_another_worker_starts_the_next(self, tmp_path):
        static_keys(tmp_path)
        resolver = Resolver(environ_of(tmp_path), pace=PACE)
        read, write = os.pipe()
        workers = [self.worker(resolver, write) for _ in range(3)]
        try:
            with os.fdopen(read) as lines:
                first = [json.loads(lines.readline()) for _ in workers]
                assert {name for _, name, _ in first} == {"AKIAFILE"}
                hosts = {pid: started for pid, _, started in first if started}
                ((host, started),) = hosts.items() or [(None, [])]
                assert len(started) == 1
                os.kill(host, signal.SIGKILL)
                os.waitpid(host, 0)
                workers.remove(host)
                static_keys(tmp_path, "AKIANEW")
                later = [json.loads(lines.readline()) for _ in workers]
                assert {name for _, name, _ in later} == {"AKIANEW"}
                deadline = time.monotonic() + 30
                while is_running(started[0]) and time.monotonic() < deadline:
                    time.sleep(0.01)
                assert not is_running(started[0])
                assert sum(len(children(pid)) for pid in workers) == 1
        finally:
            for pid in workers:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(write)
