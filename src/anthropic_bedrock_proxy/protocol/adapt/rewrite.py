"""A request while it is being rewritten: decoded piece by piece, encoded once at the end.

Theory of operation:
- Rewrites read the views (types of the fields that matter), which parsing has made already. Only a
  message or field that needs an edit is decoded to a tree (`message`, `field`).
- Every edit replaces a whole top-level field (`set`), or changes the tree of one message, which
  stays in `_trees` for the rewrites after. The client's request is never changed: the first `set`
  copies the dictionary of fields.
- `finish` encodes the trees, puts them between the other messages' own bytes, and decodes views of
  the changed ones, so that dialects see what is sent. Without edits it returns the request itself.

Example: `messages` [A, B, C], where B is a blank text and C must go.

    rewrite.message(1)["content"] = [...]    _trees = {1: ...}
    rewrite.remove(2)                        _gone = {2}
    rewrite.set("tool_choice", None)         fields = the client's without tool_choice
    rewrite.finish()                         messages = A's bytes, B encoded anew; views likewise
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from ...errors import InvalidRequestError
from ...models.betas import BetaRules, flag_for
from ...models.table import Capabilities
from ..raw import MISSHAPEN, decode, decode_raws, encode
from ..request.messages import MessagesRequest, decode_message, decode_tools, explain
from ..request.views import MessageView, ToolView


class Rewrite:
    """The edits of one request; the request itself is never changed.

    `dropped` are the paths of what was left out, `warnings` sentences for the client,
    `added` fields that the answer gets, because the model will not write them.
    """

    def __init__(
        self, request: MessagesRequest, capabilities: Capabilities, rules: BetaRules
    ) -> None:
        self.request = request
        self.fields = request.fields
        self.features = capabilities.features
        self.output_tokens = capabilities.output_tokens
        self.dropped: list[str] = []
        self.warnings: list[str] = []
        self.added: dict[str, Any] = {}
        self._capabilities = capabilities
        self._rules = rules
        self._trees: dict[int, dict[str, Any]] = {}
        self._gone: set[int] = set()
        self._raws: list[Raw] | None = None

    @property
    def messages(self) -> list[MessageView]:
        """Returns the views of the client's messages, unedited."""
        return self.request.view.messages

    @property
    def max_tokens(self) -> int | None:
        """Returns the client's max_tokens, at most the model's own; None: the client gave none."""
        asked = self.request.view.max_tokens
        if not isinstance(asked, int):
            return None
        return asked if self.output_tokens is None else min(asked, self.output_tokens)

    @property
    def tools(self) -> list[ToolView]:
        """Returns views of the tools, edits included. Raises `InvalidRequestError`."""
        raw = self.fields.get("tools")
        if raw is None or raw is self.request.fields.get("tools"):
            return (raw and self.request.view.tools) or []
        try:
            return decode_tools(raw)
        except msgspec.ValidationError as error:
            raise InvalidRequestError(f"tools.{explain(str(error))}") from None

    def can(self, feature: str) -> bool:
        """Tells whether the model takes the beta flag that `feature` needs."""
        return flag_for(feature, self._capabilities, self._rules) is not None

    def message(self, index: int) -> dict[str, Any]:
        """Returns a message as a tree; changes of the tree will be sent."""
        tree = self._trees.get(index)
        if tree is None:
            tree = self._trees[index] = decode(self.raw(index))
        return tree

    def raw(self, index: int) -> Raw:
        """Returns the client's own bytes of a message, unedited."""
        if self._raws is None:
            self._raws = decode_raws(self.request.fields["messages"])
        return self._raws[index]

    def remove(self, index: int) -> None:
        """Leaves a message out."""
        self._gone.add(index)

    def is_gone(self, index: int) -> bool:
        """Tells whether a message was left out."""
        return index in self._gone

    def field(self, name: str) -> Any:
        """Decodes a top-level field; None if it is absent. Raises `InvalidRequestError`."""
        raw = self.fields.get(name)
        try:
            return None if raw is None else decode(raw)
        except MISSHAPEN:
            raise InvalidRequestError(f"{name}: cannot be read") from None

    def object(self, name: str) -> dict[str, Any]:
        """Decodes a top-level field that must be an object or null; empty if null or absent.

        Raises `InvalidRequestError`.
        """
        value = self.field(name)
        if not isinstance(value, dict | None):
            raise InvalidRequestError(f"{name}: Expected `object`")
        return value or {}

    def set(self, name: str, value: Any) -> None:
        """Sets a top-level field; None removes it."""
        if self.fields is self.request.fields:
            self.fields = dict(self.fields)
        if value is None:
            self.fields.pop(name, None)
        else:
            self.fields[name] = Raw(encode(value))

    def finish(self) -> MessagesRequest:
        """Returns the request to send: the client's own object if nothing was edited."""
        view = self.request.view
        changes: dict[str, Any] = {}
        if self._trees or self._gone:
            changes["messages"] = self._messages()
        if self.fields.get("tools") is not self.request.fields.get("tools"):
            changes["tools"] = self.tools or None
        if "max_tokens" in self.fields and self.fields is not self.request.fields:
            changes["max_tokens"] = decode(self.fields["max_tokens"])
        if changes:
            view = msgspec.structs.replace(view, **changes)
        elif self.fields is self.request.fields:
            return self.request
        return MessagesRequest(self.fields, view, self.request.version)

    def _messages(self) -> list[MessageView]:
        raws = self._raws or decode_raws(self.request.fields["messages"])
        views = list(self.messages)
        for index, tree in self._trees.items():
            if index not in self._gone:
                raws[index] = Raw(encode(tree))
                views[index] = decode_message(raws[index])
        kept = [index for index in range(len(views)) if index not in self._gone]
        if self.fields is self.request.fields:
            self.fields = dict(self.fields)
        self.fields["messages"] = Raw(encode([raws[index] for index in kept]))
        return [views[index] for index in kept]
