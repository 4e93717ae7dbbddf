"""Whether a request needs the turn loop; apart from it, because most never do."""

from __future__ import annotations

import re
from typing import Final

from ..models.betas import BetaRules, flag_for
from ..models.table import Capabilities
from ..protocol.request.messages import MessagesRequest

_TOOL_SEARCH: Final = "tool_search_tool_"
_SEARCHED: Final = re.compile(_TOOL_SEARCH.encode())


def needs_turn(request: MessagesRequest, capabilities: Capabilities, rules: BetaRules) -> bool:
    """Whether the proxy has to run server-side tools of this request for the model.

    Cheap where it matters: a model that searches by itself costs two look-ups, any other the types
    of the tools and one pass of a byte search over the history.
    """
    if (
        "tool_search" in capabilities.features
        and flag_for("defer_loading", capabilities, rules) is not None
    ):
        return False
    for tool in request.view.tools or ():
        if tool.type is not None and tool.type.startswith(_TOOL_SEARCH):
            return True
    return _SEARCHED.search(request.fields["messages"]) is not None
