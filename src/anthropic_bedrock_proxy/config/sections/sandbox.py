"""Code that the model writes, run in a sandbox."""

# Without `from __future__ import annotations`: the annotations are read as objects, not as text.
from typing import Annotated

from .. import rules
from ..schema import Section, Setting

_PTC = "waits for programmatic tool calling"
_CODE = "waits for code execution"


class SandboxSettings(Section, frozen=True):
    """Code that the model writes, run in a sandbox."""

    enable_programmatic_tool_calling: Annotated[
        bool,
        Setting(
            "ENABLE_PROGRAMMATIC_TOOL_CALLING",
            "Let model-written code call the client's tools from a sandbox.",
            no_effect=_PTC,
        ),
    ] = True
    ptc_sandbox_image: Annotated[
        str,
        Setting("PTC_SANDBOX_IMAGE", "The container image of sandboxes.", no_effect=_PTC),
    ] = "python:3.11-slim"
    ptc_session_timeout_seconds: Annotated[
        float,
        Setting(
            "PTC_SESSION_TIMEOUT",
            "How long a suspended sandbox waits for its client.",
            minimum=1,
            no_effect=_PTC,
        ),
    ] = 270.0
    ptc_execution_timeout_seconds: Annotated[
        float,
        Setting("PTC_EXECUTION_TIMEOUT", "How long code may run.", minimum=1, no_effect=_PTC),
    ] = 60.0
    ptc_memory_limit: Annotated[
        str,
        Setting("PTC_MEMORY_LIMIT", "Memory of a sandbox.", rule=rules.MEMORY, no_effect=_PTC),
    ] = "256m"
    ptc_network_disabled: Annotated[
        bool,
        Setting("PTC_NETWORK_DISABLED", "Sandboxes have no network.", no_effect=_PTC),
    ] = True
    enable_standalone_code_execution: Annotated[
        bool,
        Setting(
            "ENABLE_STANDALONE_CODE_EXECUTION",
            "Serve the code execution tool (bash and files in a sandbox).",
            no_effect=_CODE,
        ),
    ] = True
    standalone_bash_timeout_seconds: Annotated[
        float,
        Setting(
            "STANDALONE_BASH_TIMEOUT",
            "How long a bash command may run.",
            minimum=1,
            no_effect=_CODE,
        ),
    ] = 30.0
