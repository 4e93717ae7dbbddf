"""A place for what is being built elsewhere: text passes as it is."""

from __future__ import annotations

from collections.abc import Callable

from ..protocol.answer.events import Event
from ..tools.base import Json
from ..tools.passages import Passages


class CitedText:
    """The text of one model answer on its way to the client."""

    def __init__(self, passages: Passages) -> None:
        self._passages = passages

    def feed(self, event: Event) -> list[Event]:
        """Passes the event on."""
        return [event]


def with_markers(block: Json, index_of: Callable[[Json], str | None]) -> Json:
    """Returns a client's text block as the model wrote it."""
    indexes = [index for one in block["citations"] if (index := index_of(one)) is not None]
    text = {key: value for key, value in block.items() if key != "citations"}
    if indexes:
        text["text"] = f'<cite index="{",".join(indexes)}">{block["text"]}</cite>'
    return text
