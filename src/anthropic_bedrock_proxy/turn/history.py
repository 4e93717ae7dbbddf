"""A client's conversation with server-side tools -> the one that the model is shown.

The client has `server_tool_use` and its result side by side in one assistant message. The model
called an ordinary tool, so for it that message ends there, a user message brings the result, and
what follows is the next assistant message. Results of the client's own tools stand beside those of
server-side tools that were called together with them: a message's calls are answered together.

    the client's                                   the model's
    assistant: text, server_tool_use, result,      assistant: text, tool_use
               text                                user:      tool_result
                                                   assistant: text

A call without a result may stand in the last assistant message only (`pause_turn`, or a call beside
the client's): it is listed here, and run before the model is called. Calls of the client's tools by
a suspended call are not for the model, nor are their results (turn/suspended.py): of the pauses of
one call it sees nothing, nor of what code called by itself (turn/nested.py). Where a user message
has a block for a tool, such as `container_upload`, the model sees what the tool says; where a text
of the model has citations of tools, it sees its own markers (turn/cited_text.py).
Source: Anthropic API, "Server tools", "Handling stop reasons", "Programmatic tool calling".
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, Raw

from ..errors import InvalidRequestError
from ..protocol.raw import Json, decode
from ..protocol.request.views import MessageView
from ..tools.base import ServerTool
from ..tools.calls import GivenBlock, RequestContext
from ..tools.toolset import Toolset
from .nested import is_nested
from .offered_tools import TurnTools
from .sent_back import read_citations, read_result
from .server_call import CALL, TOOL_USE, ServerCall, upstream_id, without_content
from .shown import BlockPath, OpenAnswers, OpenMessage, Shown, UnansweredCall
from .suspended import ClientCalls, caller_of

_MAX_SHOWN: Final = 128
MAX_PENDING: Final = 4000  # calls without a result: each becomes a task, all of them at once


class History:
    """The conversion of one conversation: `add` each message, then `end`.

    `shown` is what the model sees, complete once all that is `pending` has been answered;
    `continues` tells that the client's last message was an answer, or gave a suspended call its
    results, and that this answer now goes on. `given` are the blocks that are for tools.
    """

    def __init__(self, toolset: Toolset, offered: TurnTools, context: RequestContext) -> None:
        """`offered` are the tools of this request."""
        self._toolset = toolset
        self._context = context
        self._cites = toolset.cites
        runnable = offered.for_code | offered.by_name
        self._runnable = frozenset(runnable)
        self._user_blocks = {
            kind: (tool, show)
            for tool in runnable.values()
            for kind, show in tool.user_blocks.items()
        }
        self._open: OpenMessage | None = None
        self._answers: OpenAnswers | None = None  # a later assistant message brings what is missing
        self._client_calls = ClientCalls()
        self.shown: list[Shown] = []
        self.pending: list[ServerCall] = []
        self.given: list[tuple[ServerTool, GivenBlock]] = []
        self.continues = False

    def add(self, index: int, raw: Raw, view: MessageView) -> None:
        """Adds a message. Raises `InvalidRequestError`, or any of MISSHAPEN."""
        if view.role == "assistant":
            self._client_calls.refuse_unanswered()
            if self._open is None and self._answers is None and not self._concerns(view):
                self.shown.append(Shown(raw, view, [(index, 0)]))
            else:
                self._add_assistant(index, decode(raw))
            return
        self._count_documents(index, view)
        tree = self._with_shown(index, raw, view)
        if view.role == "user" and self._client_calls:
            self._add_user(index, tree or decode(raw))
            return
        self._client_calls.refuse_unanswered()
        self._refuse_missing()
        opened = self._open
        if opened is not None and view.role == "user" and (opened.calls or opened.results):
            self._add_user(index, tree or decode(raw))
            return
        self._open = None
        if opened is not None:
            for call in opened.calls.values():
                raise call.without_result()
            self._close(opened)
        if tree is None:
            self.shown.append(Shown(raw, view, [(index, 0)]))
        else:
            paths = [(index, position) for position in range(len(tree["content"]))]
            self.shown.append(Shown(tree, None, paths))

    def end(self) -> None:
        """Lists what has no result yet. Raises as `add`."""
        self._client_calls.refuse_unanswered()
        opened, self._open = self._open, None
        if opened is not None:
            for call in opened.calls.values():
                opened.results.append(self._await(call))
                opened.result_paths.append((call.index, 0))
            self.continues = bool(opened.results)
            self._close(opened)
        answers = self._answers
        if answers is None:
            return
        if any(block["type"] != "tool_result" for block in answers.content):
            self._refuse_missing()
        for call in answers.calls.values():
            answers.results.append(self._await(call))
            answers.result_paths.append((call.index, 0))
        answers.complete()

    def _concerns(self, view: MessageView) -> bool:
        return not isinstance(view.content, str) and any(
            self._toolset.answering(block.type) is not None
            or (block.type == CALL and self._toolset.called(block.name) is not None)
            or (self._cites and block.citations is not UNSET)
            for block in view.content
        )

    def _count_documents(self, index: int, view: MessageView) -> None:
        """Gives the client's own documents their numbers: citations count them with fetched ones.

        Claude cites the client's by these numbers itself.
        """
        if not self._cites or view.role != "user" or isinstance(view.content, str):
            return
        for position, block in enumerate(view.content):
            if block.type == "document":
                self._context.passages.number(f"{index}.{position}")

    def _with_shown(self, index: int, raw: Raw, view: MessageView) -> Json | None:
        """Returns a user message with what the model sees in place of blocks that are for tools.

        None if it has none. Raises `InvalidRequestError` with the path.
        """
        if not self._user_blocks or view.role != "user" or isinstance(view.content, str):
            return None
        if not any(block.type in self._user_blocks for block in view.content):
            return None
        tree: Json = decode(raw)
        content = tree["content"]
        for position, block in enumerate(content):
            if block["type"] in self._user_blocks:
                tool, show = self._user_blocks[block["type"]]
                path = f"messages.{index}.content.{position}"
                shown = content[position] = show(block, path)
                self.given.append((tool, GivenBlock(block, path, shown)))
        return tree

    def _add_assistant(self, index: int, tree: Json) -> None:
        blocks = _blocks(tree["content"])
        opened, self._open = self._open, None
        if opened is not None and not opened.calls and not opened.results:
            self._close(opened)
            opened = None
        if opened is None:
            opened = OpenMessage({**tree, "content": []})
        for position, block in enumerate(blocks):
            tool = self._toolset.answering(block["type"])
            if tool is not None and is_nested(block):
                read_result(tool, block, (index, position), self._context)  # for its passages
                continue
            if tool is not None:
                self._add_result(opened, tool, block, (index, position))
                continue
            if opened.results and not opened.calls and not opened.calls_client:
                # What follows a result was said when the model knew it.
                self._close(opened)
                opened = OpenMessage({"role": "assistant", "content": []})
            self._add_said(opened, block, (index, position))
        answers = self._answers
        if answers is not None:
            waiting = self._client_calls.callers()
            # What has no result yet was resumed, and waits again, or for one that does.
            if waiting and answers.calls.keys() >= waiting and not opened.message["content"]:
                return
            self._refuse_missing()
            answers.complete()
            self._answers = None
        self._open = opened

    def _add_said(self, opened: OpenMessage, block: Json, path: BlockPath) -> None:
        tool = self._toolset.called(block.get("name")) if block["type"] == CALL else None
        if tool is not None and is_nested(block):
            return
        if tool is not None:
            opened.calls[block["id"]] = UnansweredCall(
                tool, block["id"], block["name"], block["input"], path[0]
            )
            block = {**block, "type": TOOL_USE, "id": upstream_id(block["id"])}
            block.pop("caller", None)
        elif block["type"] == TOOL_USE:
            caller = caller_of(block)
            if caller in opened.calls or (self._answers and caller in self._answers.calls):
                self._client_calls.add(block, caller, path[0])
                return
            opened.calls_client = True
        elif block["type"] == "text" and self._cites and block.get("citations"):
            block = read_citations(self._toolset, block, path, self._context)
        opened.message["content"].append(block)
        opened.paths.append(path)

    def _add_result(
        self, opened: OpenMessage, tool: ServerTool, block: Json, path: BlockPath
    ) -> None:
        identifier = block["tool_use_id"]
        if opened.calls.pop(identifier, None) is not None:
            opened.results.append(read_result(tool, block, path, self._context))
            opened.result_paths.append(path)
        elif self._answers is not None and self._answers.calls.pop(identifier, None) is not None:
            self._answers.results.append(read_result(tool, block, path, self._context))
            self._answers.result_paths.append(path)
        else:
            raise InvalidRequestError(
                f"messages.{path[0]}.content.{path[1]}: unexpected `tool_use_id` found in "
                f"`{block['type']}` blocks: {str(identifier)[:_MAX_SHOWN]}. Each "
                f"`{block['type']}` block must have a corresponding `{CALL}` block before it."
            )

    def _add_user(self, index: int, tree: Json) -> None:
        """Adds a user message: results of server-side tools stand first in it.

        Results for suspended calls are taken out; a message of nothing else is not shown.
        """
        blocks = _blocks(tree["content"])
        positions = self._client_calls.answer(index, blocks)
        opened, self._open = self._open, None
        if opened is None:  # a call waited again: the user message that it is for is there already
            if positions:
                self._refuse_missing()
            return
        results, paths = opened.results, opened.result_paths
        opened.results = []
        self._close(opened)
        content = [*results, *(blocks[position] for position in positions)]
        paths = [*paths, *((index, position) for position in positions)]
        self.shown.append(Shown({**tree, "content": content}, None, paths))
        if opened.calls:
            self._answers = OpenAnswers(opened.calls, content, paths)

    def _close(self, opened: OpenMessage) -> None:
        if opened.message["content"]:
            self.shown.append(Shown(opened.message, None, opened.paths))
        if opened.results:
            answer: Json = {"role": "user", "content": opened.results}
            self.shown.append(Shown(answer, None, opened.result_paths))

    def _await(self, call: UnansweredCall) -> Json:
        """Stands for the result of a call of an earlier answer, which is run or resumed later."""
        if call.name not in self._runnable:
            raise InvalidRequestError(
                f"{call.words} has no result yet, but no `{call.name}` tool was provided"
            )
        if len(self.pending) == MAX_PENDING:
            raise InvalidRequestError(
                f"{call.words} is one of more than {MAX_PENDING} that have no result yet; "
                "remove some of them"
            )
        shown = without_content(call.id)
        results = self._client_calls.results.get(call.id, [])
        self.continues = self.continues or bool(results)
        self.pending.append(ServerCall(call.tool, call.id, call.name, call.input, shown, results))
        return shown

    def _refuse_missing(self) -> None:
        if self._answers is not None:
            for call in self._answers.calls.values():
                raise call.without_result()


def _blocks(content: Any) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
