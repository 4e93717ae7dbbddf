"""Results and citations that clients send back, as the model is shown them.

What cannot be read is the client's mistake, told with its path.
"""

from __future__ import annotations

from ..errors import InvalidRequestError
from ..protocol.raw import MISSHAPEN, Json
from ..tools.base import ServerTool, UnreadableResultError
from ..tools.calls import RequestContext
from ..tools.toolset import Toolset
from .cited_text import with_markers
from .server_call import tool_result
from .shown import BlockPath


def read_result(tool: ServerTool, block: Json, path: BlockPath, context: RequestContext) -> Json:
    """Returns a result block as a `tool_result`. Raises `InvalidRequestError` with the path."""
    place = f"messages.{path[0]}.content.{path[1]}.content"
    try:
        return tool_result(tool, block, context)
    except UnreadableResultError as error:
        raise InvalidRequestError(f"{place}.{error.place}: {error.reason}") from None
    except MISSHAPEN as error:
        raise InvalidRequestError(
            f"{place}: unexpected form of a `{block['type']}` block's content"
        ) from error


def read_citations(toolset: Toolset, block: Json, path: BlockPath, context: RequestContext) -> Json:
    """Returns a text block with the markers that its citations were made of.

    Raises `InvalidRequestError` with the path, or any of MISSHAPEN.
    """
    places = {id(one): place for place, one in enumerate(block["citations"])}

    def index_of(citation: Json) -> str | None:
        try:
            return toolset.index_of(citation, context)
        except UnreadableResultError as error:
            raise InvalidRequestError(
                f"messages.{path[0]}.content.{path[1]}.citations.{places[id(citation)]}"
                f".{error.place}: {error.reason}"
            ) from None

    return with_markers(block, index_of)
