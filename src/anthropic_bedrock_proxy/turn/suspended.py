"""Suspended turns: a server-side call waits for the client's tools, over several requests.

Code that a server-side tool runs may call tools of the client. The call is then neither running
nor finished: the client gets the calls of its tools instead of the result, each with its `caller`,
and the answer ends with `tool_use` and the container in which the code waits:

    server_tool_use  srvtoolu_A  code_execution
    tool_use         toolu_B     get_weather     caller: code_execution_20260120, srvtoolu_A
    stop_reason tool_use, container: {id, expires_at}

The next request has this answer in its history and after it a user message with the `tool_result`
of toolu_B. The model is shown none of the two: for it srvtoolu_A still has no result. So the call
is resumed with that `tool_result` first; it finishes, and its result begins the next answer, or it
is suspended anew, and the next answer is nothing but its calls: the model is not asked.
Source: Anthropic API, "Programmatic tool calling".
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import msgspec

from ..errors import InvalidRequestError
from ..protocol.answer.events import Event, explode
from ..protocol.raw import Json
from ..tools.calls import ClientCall, Container, Suspended

_ID_DIGITS: Final = 24
_MAX_SHOWN: Final = 200


class SuspendedTurn(msgspec.Struct, frozen=True):
    """A turn that goes on with the client's next request.

    `pending` are the calls of the client's tools, by the id of the server-side call that waits for
    them (their caller).
    """

    container: Container
    pending: dict[str, tuple[ClientCall, ...]]


def suspended_turn(calls: Mapping[str, Suspended]) -> SuspendedTurn | None:
    """Returns the turn that waits because of these calls, by their ids; None if there are none.

    A request has one container, so the last one said holds for all of them.
    """
    container = None
    for suspended in calls.values():
        container = suspended.container
    if container is None:
        return None
    return SuspendedTurn(container, {key: calls[key].calls for key in calls})


def container_object(container: Container) -> Json:
    """Returns the `container` of a message or of its `message_delta`."""
    return {"id": container.id, "expires_at": container.expires_at}


def client_blocks(identifier: str, suspended: Suspended) -> list[Json]:
    """Returns the `tool_use` blocks that the client gets in place of a result."""
    caller = {"type": suspended.caller, "tool_id": identifier}
    return [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}
        | {"caller": caller}
        for call in suspended.calls
    ]


def answer_without_model(
    model: str, content: list[Json], turn: SuspendedTurn, usage: Json
) -> list[Event]:
    """Returns the answer of a turn whose calls are suspended anew: the model said nothing."""
    waiting = ".".join(call.id for calls in turn.pending.values() for call in calls)
    message = {
        "id": f"msg_{sha256(waiting.encode()).hexdigest()[:_ID_DIGITS]}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "container": container_object(turn.container),
        "usage": usage,
    }
    return list(explode(message))


def caller_of(block: Json) -> Any:
    """Returns the id of the server-side call that made this call of a client's tool, if one did.

    Raises any of MISSHAPEN.
    """
    caller = block.get("caller")
    return None if caller is None else caller.get("tool_id")


def _refuse_other_than_text(content: Any, path: str) -> None:
    """Raises `InvalidRequestError` for a result that code could not be given as a string.

    Before anything is run: a result that cannot be used would be lost, and the code waits on.
    """
    if isinstance(content, dict):
        raise InvalidRequestError(f"{path}.content: Expected `str | array | null`, got `object`")
    for position, block in enumerate(content if isinstance(content, list) else ()):
        if block["type"] != "text":
            raise InvalidRequestError(
                f"{path}.content.{position}: only text is allowed in the result of a call that "
                f"code has made, not {str(block['type'])[:_MAX_SHOWN]}"
            )
        if not isinstance(block.get("text"), str):
            raise InvalidRequestError(f"{path}.content.{position}.text: a string is required")


class ClientCalls:
    """The calls of the client's tools by suspended ones, while a history is read."""

    def __init__(self) -> None:
        self._callers: dict[str, str] = {}  # of the calls without a result, by their ids
        self._index = 0  # of their message
        self.results: dict[str, list[Json]] = {}  # those that came last, by caller

    def __bool__(self) -> bool:
        return bool(self._callers)

    def add(self, block: Json, caller: str, index: int) -> None:
        """Takes a call out of the message of this index. Raises any of MISSHAPEN."""
        self._callers[block["id"]] = caller
        self._index = index

    def callers(self) -> set[str]:
        """Returns the ids of the calls that wait."""
        return set(self._callers.values())

    def answer(self, index: int, blocks: list[Json]) -> list[int]:
        """Takes the results out of the user message of this index.

        Returns the positions of its other blocks. Raises `InvalidRequestError` if results are
        missing or no text, and any of MISSHAPEN.
        """
        self.results = {}
        others = []
        for position, block in enumerate(blocks):
            caller = None
            if block["type"] == "tool_result":
                caller = self._callers.pop(block["tool_use_id"], None)
            if caller is None:
                others.append(position)
            else:
                _refuse_other_than_text(
                    block.get("content"), f"messages.{index}.content.{position}"
                )
                self.results.setdefault(caller, []).append(block)
        self.refuse_unanswered()
        return others

    def refuse_unanswered(self) -> None:
        """Raises `InvalidRequestError` if a call has no result."""
        if self._callers:
            raise InvalidRequestError(
                f"messages.{self._index}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after: {', '.join(self._callers)[:_MAX_SHOWN]}"
            )
