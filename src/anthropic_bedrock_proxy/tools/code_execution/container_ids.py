"""The id of a request's container, read off the request.

It is settled when the request is read: the one that it names; else the one in which a call of its
history waits, whose id is in the id of that call, for clients that do not send `container` back
(the tool runner of the official SDKs is one); else a new one, which the first cell makes. So the
ids of the calls can begin with it before anything has run:

    container_0a1b…(24)   srvtoolu_0a1b…(24)(8 of this request)(12 of this call)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from ...errors import InvalidRequestError
from ...protocol.raw import decode
from ..calls import ToolCall

CONTAINER_PREFIX: Final = "container_"
_ID: Final = re.compile(r"container_[0-9a-f]{24}")
_CALL_ID: Final = re.compile(r"srvtoolu_([0-9a-f]{24})[0-9a-f]{20}")
_MAX_SHOWN: Final = 60


def named_container(raw: msgspec.Raw | None) -> str | None:
    """Returns the id that the `container` of a request gives. Raises `InvalidRequestError`."""
    given: Any = None if raw is None else decode(raw)
    if isinstance(given, dict):
        if given.get("skills"):
            raise InvalidRequestError(
                "container.skills: skills are not available on Amazon Bedrock; remove them"
            )
        given = given.get("id")
    if given is None:
        return None
    if not isinstance(given, str):
        raise InvalidRequestError("container: Expected the id of a container")
    if _ID.fullmatch(given) is None:
        raise gone(given, waits=False)
    return given


def inferred_container(pending: Sequence[ToolCall]) -> str | None:
    """Returns the container in which calls of the history were made."""
    for call in sorted(pending, key=lambda call: not call.results):
        found = _CALL_ID.fullmatch(call.id)
        if found is not None:
            return CONTAINER_PREFIX + found[1]
    return None


def gone(container: str, *, waits: bool) -> InvalidRequestError:
    """Makes the error for a container that is not there any more; `waits`: code was in it."""
    name = container[:_MAX_SHOWN]
    if waits:
        return InvalidRequestError(
            f"container: the code that waits for these results is gone: container {name} was not "
            "found or has expired; repeat the request without this answer of the assistant"
        )
    return InvalidRequestError(
        f"container: {name} was not found or has expired; send the request without it to get a "
        "new one"
    )
