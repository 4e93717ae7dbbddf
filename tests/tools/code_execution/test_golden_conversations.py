"""The wire of each step of a conversation with code, held to files (golden/*.json).

A file is one conversation: `tools`, `outcomes` of the sandbox in their order, and `steps`. A step
has what the client adds (`say`, `fields`), what the model answers (`model`, one list of blocks a
call), and what the client must be told: `message` whole, `events` streamed. Ids of calls are named
by the test: `$A`, `$B` … in the order in which they appear; the container is `$container`.
Held to Anthropic's own words by hand: reference of the Anthropic API, sections 7 and 8.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import anthropic
import msgspec
import pytest
from anthropic.lib.streaming._beta_messages import accumulate_event
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from conversation import Conversation
from pydantic import TypeAdapter

from anthropic_bedrock_proxy.protocol.answer.events import fold
from anthropic_bedrock_proxy.sandbox.base import CellOutcome

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.json"))
_outcome = msgspec.json.Decoder(CellOutcome).decode
_event = TypeAdapter(BetaRawMessageStreamEvent)


class Names:
    """Readable names for what is made anew each time."""

    def __init__(self):
        self._known = {}

    def hide(self, value):
        if isinstance(value, dict):
            return {key: self.hide(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.hide(each) for each in value]
        if isinstance(value, str) and value.startswith("container_"):
            return "$container"
        if isinstance(value, str) and value.startswith("srvtoolu_"):
            return self._known.setdefault(value, f"${chr(ord('A') + len(self._known))}")
        return value

    def show(self, value, container):
        if isinstance(value, dict):
            return {key: self.show(each, container) for key, each in value.items()}
        if value == "$container":
            return container
        return value


def played(case):
    """What the client is told in each step, under readable names."""
    talk = Conversation(
        *(_outcome(json.dumps(each)) for each in case["outcomes"]), tools=case["tools"]
    )
    names, container = Names(), None
    for step in case["steps"]:
        if "say" in step:
            talk.say(*step["say"])
        events = talk.events(*step["model"], **names.show(step.get("fields", {}), container))
        told = [json.loads(data) for _, data in events]
        message = fold(events)
        BetaMessage.model_validate(message)
        for each in told:
            _event.validate_python(each)
        if "container" in message:
            container = message["container"]["id"]
        yield names.hide(message), names.hide(told), accumulated(told)


def accumulated(told):
    """The message as the SDK's accumulator makes it of the events."""
    snapshot, buffers = None, {}
    for each in told:
        snapshot = accumulate_event(
            event=_event.validate_python(each),
            current_snapshot=snapshot,
            request_headers={},
            json_bufs=buffers,
        )
    return snapshot


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_step_is_as_the_file_says(path):
    case = json.loads(path.read_text())
    write = os.environ.get("WRITE_GOLDEN") == "1"
    for step, (message, events, whole) in zip(case["steps"], played(case), strict=True):
        if write:
            step |= {"message": message, "events": events}
        assert message == step["message"]
        assert events == step["events"]
        assert [block.type for block in whole.content] == [b["type"] for b in message["content"]]
        assert whole.stop_reason == message["stop_reason"]
        assert (whole.container is None) is ("container" not in message)
    if write:
        path.write_text(json.dumps(case, indent=1, ensure_ascii=False) + "\n")


def test_there_are_files_for_every_step_of_the_table():
    assert {path.stem for path in FILES} >= {
        "sequential",
        "gathered",
        "mixed",
        "versions",
        "errors",
    }
    assert anthropic.__version__
