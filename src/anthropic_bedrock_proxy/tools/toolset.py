"""The server-side tools of this installation, and the question which of them a request needs.

Most requests need none, so a tool is known by its kind (tools/kinds.py) until one does. A kind that
some models have natively is passed on to those, so a turn gets the others alone:

    Toolset([tool_search, probe]).needed(a request with both, a model with tool search, rules)
    -> the toolset of [probe], which finds nothing in a block of tool search

Some tools are for code (web search, from 2026 on): code execution comes with them, asked or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ..models.betas import BetaRules, flag_for
from ..models.table import Capabilities
from ..protocol.request.messages import MessagesRequest
from ..protocol.request.views import MessageView
from .kinds import ToolKind
from .web.versions import is_for_code

if TYPE_CHECKING:
    from .base import ServerTool
    from .calls import RequestContext

# Type and name of the code execution that comes with tools for code.
PROVIDED_CODE: Final = ("code_execution_20260120", "code_execution")
MAX_MODEL_CALLS: Final = 10  # in one turn, as Anthropic's own loop
# Bytes of a document in a tool's result: in base64 four fifths of what InvokeModel takes at all.
MAX_DOCUMENT: Final = 15_000_000
_MAX_DOCUMENT_ON_CONVERSE: Final = 4_500_000
_WITH_DOCUMENTS: Final = frozenset(("documents", "rich_results"))


class Toolset:
    """The server-side tools that the proxy can run, or those of them that a request needs."""

    def __init__(
        self,
        kinds: Sequence[ToolKind],
        made: dict[ToolKind, ServerTool] | None = None,
        *,
        max_model_calls: int = MAX_MODEL_CALLS,
        document_bytes: int = MAX_DOCUMENT,
    ) -> None:
        """`made` are the tools that exist already, and those that come to exist.

        `document_bytes` bounds a document in a result: larger ones the model does not take.
        """
        self.max_model_calls = max_model_calls
        self.document_bytes = document_bytes
        self._kinds = kinds
        # With what is looked at for every request within reach.
        self._signs = [(kind, kind.prefix, *(kind.native or (None, ""))) for kind in kinds]
        self._made: dict[ToolKind, ServerTool] = {} if made is None else made
        self._own: list[ServerTool] | None = None

    def needed(
        self,
        request: MessagesRequest,
        capabilities: Capabilities,
        rules: BetaRules,
        *,
        may_provide_code: bool = True,
    ) -> Toolset | None:
        """Returns the tools of this request that the proxy has to run for the model, if any.

        Cheap where it matters: a tool that the model has natively costs two look-ups, all others
        together the types of the definitions and one pass over the types of the answers' blocks.
        `may_provide_code`: code execution comes with tools for code that were sent without it.
        """
        kinds: tuple[ToolKind, ...] = ()
        called: set[str] | None = None
        types = [tool.type for tool in request.view.tools or () if tool.type is not None]
        for kind, prefix, feature, field in self._signs:
            if (
                feature in capabilities.features
                and flag_for(field, capabilities, rules) is not None
            ):
                continue
            for given in types:
                if given.startswith(prefix):
                    kinds += (kind,)
                    break
            else:
                if called is None:
                    called = _server_calls(request.view.messages)
                if not called.isdisjoint(kind.calls):
                    kinds += (kind,)
        if not kinds:
            return None
        if may_provide_code and any(map(is_for_code, request.view.tools or ())):
            kinds += tuple(kind for kind in self._kinds if kind.runs_code and kind not in kinds)
        shows = any(kind.shows_documents for kind in kinds)
        return self._part(kinds, _document_bytes(capabilities) if shows else self.document_bytes)

    def _part(self, kinds: Sequence[ToolKind], document_bytes: int) -> Toolset:
        if len(kinds) == len(self._kinds) and document_bytes == self.document_bytes:
            return self
        return Toolset(
            kinds,
            self._made,
            max_model_calls=self.max_model_calls,
            document_bytes=document_bytes,
        )

    async def ready(self) -> None:
        """Makes sure that histories can be read. Raises `ProxyError` if they cannot now."""
        for tool in self._tools():
            await tool.ready()

    def without_code(self) -> Toolset:
        """Returns the toolset without what runs code that calls other tools."""
        kinds = [kind for kind in self._kinds if not kind.runs_code]
        return self._part(kinds, self.document_bytes)

    @property
    def cites(self) -> bool:
        """Tells whether one of the tools shows the model passages to cite."""
        return any(tool.cites for tool in self._tools())

    def index_of(self, citation: dict[str, Any], context: RequestContext) -> str | None:
        """Returns the index of the passage that a citation is of; None: of none of the tools'.

        Raises `UnreadableResultError`, or any of MISSHAPEN.
        """
        for tool in self._tools():
            if (index := tool.index_of(citation, context)) is not None:
                return index
        return None

    def covers(self, other: Toolset) -> bool:
        """Tells whether all of the other's tools are here too, and whatever they show fits it."""
        fits = self.document_bytes <= other.document_bytes
        return fits and set(other._kinds) <= set(self._kinds)

    def claiming(self, kind: str) -> ServerTool | None:
        """Returns the tool to which a definition of this type belongs."""
        return next((tool for tool in self._tools() if tool.claims(kind)), None)

    def called(self, name: Any) -> ServerTool | None:
        """Returns the tool that a `server_tool_use` block of this name calls."""
        return next((tool for tool in self._tools() if tool.is_call(name)), None)

    def answering(self, kind: str) -> ServerTool | None:
        """Returns the tool to which a result block of this type belongs."""
        return next((tool for tool in self._tools() if kind in tool.result_types), None)

    def _tools(self) -> list[ServerTool]:
        if self._own is None:
            for kind in self._kinds:
                if kind not in self._made:
                    self._made[kind] = kind.make()
            self._own = [self._made[kind] for kind in self._kinds]
        return self._own


def _document_bytes(capabilities: Capabilities) -> int:
    """Returns the bytes of the largest document that a model takes in a tool's result."""
    if not capabilities.features >= _WITH_DOCUMENTS:
        return 0
    return _MAX_DOCUMENT_ON_CONVERSE if capabilities.dialect == "converse" else MAX_DOCUMENT


def _server_calls(messages: Sequence[MessageView]) -> set[str]:
    """Returns the names of the server-side calls in a history."""
    return {
        block.name
        for message in messages
        if message.role == "assistant" and not isinstance(message.content, str)
        for block in message.content
        if block.type == "server_tool_use" and isinstance(block.name, str)
    }
