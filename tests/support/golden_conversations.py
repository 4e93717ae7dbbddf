"""Conversations that are held to files, step by step: what clients are told, whole and streamed.

A file has `steps`. A step has what the client adds (`say`, `fields`), what the model answers
(`model`, one list of blocks a call), and what the client must be told: `message` whole, `events`
streamed. What is made anew each time has a name in the file: calls of ours are `$A`, `$B` … in the
order in which they appear, the container is `$container`, what is sealed `$sealed`.
WRITE_GOLDEN=1 writes files anew.
"""

from __future__ import annotations

import json
import os

from anthropic.lib.streaming._beta_messages import accumulate_event
from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent
from pydantic import TypeAdapter

from anthropic_bedrock_proxy.protocol.answer.events import fold

_SEALED = ("encrypted_content", "encrypted_index")
_event = TypeAdapter(BetaRawMessageStreamEvent)


class Names:
    """Readable names for what is made anew each time."""

    def __init__(self):
        self._known = {}

    def hide(self, value):
        if isinstance(value, dict):
            return {
                key: "$sealed" if key in _SEALED else self.hide(each) for key, each in value.items()
            }
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


def played(talk, case):
    """What the client is told in each step of a `Conversation`, under readable names."""
    names, container = Names(), None
    for step in case["steps"]:
        if "say" in step:
            talk.say(*step["say"])
        events = talk.events(*step["model"], **names.show(step.get("fields", {}), container))
        told = [json.loads(data) for _, data in events]
        message = fold(events)
        BetaMessage.model_validate(message)
        if "container" in message:
            container = message["container"]["id"]
        yield names.hide(message), names.hide(told), accumulated(told)


def hold(path, case, talk):
    """Holds a conversation to its file, and the SDK's reading of it."""
    write = os.environ.get("WRITE_GOLDEN") == "1"
    for step, (message, events, whole) in zip(case["steps"], played(talk, case), strict=True):
        if write:
            step |= {"message": message, "events": events}
        assert message == step["message"]
        assert events == step["events"]
        assert [block.type for block in whole.content] == [b["type"] for b in message["content"]]
        assert [len(getattr(block, "citations", None) or ()) for block in whole.content] == [
            len(block.get("citations") or ()) for block in message["content"]
        ]
        assert whole.stop_reason == message["stop_reason"]
        assert (whole.container is None) is ("container" not in message)
    if write:
        path.write_text(json.dumps(case, indent=1, ensure_ascii=False) + "\n")
