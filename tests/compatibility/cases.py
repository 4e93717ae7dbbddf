"""The whole table: one row per field, block and tool of the Messages API."""

from __future__ import annotations

from block_cases import BLOCKS
from choice_cases import CHOICES
from client_tool_cases import CLIENT, PROPERTIES
from context_cases import CACHING, CONTEXT, THINKING
from field_cases import FIELDS
from flag_cases import FLAGS
from history_cases import HISTORY
from result_cases import RESULTS
from server_block_cases import SERVER
from server_tool_cases import SERVER_TOOLS
from system_cases import SYSTEM
from tool_cases import CUSTOM
from web_cases import WEB

ROWS = (
    *FIELDS,
    *FLAGS,
    *CHOICES,
    *THINKING,
    *CACHING,
    *CONTEXT,
    *SYSTEM,
    *BLOCKS,
    *RESULTS,
    *HISTORY,
    *SERVER,
    *WEB,
    *CUSTOM,
    *CLIENT,
    *PROPERTIES,
    *SERVER_TOOLS,
)
