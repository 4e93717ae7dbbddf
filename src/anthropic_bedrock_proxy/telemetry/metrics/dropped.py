"""The names under which is counted what was left out of requests: few, whatever clients send."""

from __future__ import annotations

import re
from collections.abc import Container
from typing import Final

from .facts import OTHER

_BETA: Final = "anthropic-beta "
_INDEX: Final = re.compile(r"\.[0-9]+")
# The fields of Anthropic's API that some model or dialect does without.
_FIELDS: Final = frozenset(
    (
        *("cache_control", "citations", "container", "context_management", "eager_input_streaming"),
        *("disable_parallel_tool_use", "effort", "inference_geo", "metadata", "mcp_servers"),
        *("output_config", "scope", "service_tier", "speed", "temperature", "thinking", "title"),
        *("tool_choice", "tools", "top_k", "top_p", "transformations", "ttl", "system", "messages"),
    )
)


def bounded_name(dropped: str, betas: Container[str]) -> tuple[str, str]:
    """Returns the kind (`beta` or `field`) and the name that it is counted under.

    `betas` are the flags that are known. `messages.3.content.0.cache_control.ttl` is
    `cache_control.ttl`; a name that nobody knows is `other`, because clients make names.
    """
    if dropped.startswith(_BETA):
        flag = dropped.removeprefix(_BETA)
        return "beta", flag if flag in betas else OTHER
    parts = [part for part in _INDEX.sub("", f".{dropped}").split(".") if part]
    known = [part for part in parts[-2:] if part in _FIELDS]
    return "field", ".".join(known) or OTHER
