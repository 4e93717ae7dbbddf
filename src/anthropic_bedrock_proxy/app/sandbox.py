"""Sandboxes as the settings describe them: whose executors they are, and what is known of them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..config import Settings
from ..config.schema import given_texts
from ..http.sandbox_health import SandboxHealth
from ..sandbox.wire import ExecutorState
from ..tools.code_execution.options import CodeExecutionOptions
from .logs import log_format

if TYPE_CHECKING:
    from ..aws.http import AWSConnection
    from ..sandbox.child import OwnExecutor
    from ..sandbox.client import SandboxClient

_IDLE: Final = "It starts with the first request that needs it; `sandbox check` tries it now."
_log = logging.getLogger("anthropic_bedrock_proxy")


def sandboxes_enabled(settings: Settings) -> bool:
    """Tells whether code may be run at all."""
    sandbox = settings.sandbox
    return sandbox.enable_programmatic_tool_calling or sandbox.enable_standalone_code_execution


def make_own_executor(settings: Settings) -> OwnExecutor | None:
    """Makes the executor that `serve` starts when one is needed; before workers are forked.

    None if others' are used, or none at all, or if there is no folder for its socket: the proxy
    serves all the same, and says so to whoever wants code to be run.
    """
    if settings.sandbox.url is not None or not sandboxes_enabled(settings):
        return None
    from ..sandbox.child import OwnExecutor, executor_environ  # noqa: PLC0415  # not for all

    texts = given_texts(settings.sandbox)
    server = settings.server
    logs = {
        "LOG_LEVEL": server.log_level,
        "LOG_FORMAT": log_format(settings),
        "LOG_OUTPUT": server.log_output,
        "LOG_MAX_BYTES": str(server.log_max_bytes),
        "LOG_BACKUPS": str(server.log_backups),
    }
    try:
        return OwnExecutor(executor_environ(os.environ, texts | logs))
    except OSError as error:
        _log.warning("no executor of sandboxes can be started: %s", error)
        return None


def make_options(settings: Settings) -> CodeExecutionOptions:
    """Makes the options of the code execution tool."""
    sandbox = settings.sandbox
    return CodeExecutionOptions(
        programmatic=sandbox.enable_programmatic_tool_calling,
        standalone=sandbox.enable_standalone_code_execution,
        python_seconds=sandbox.ptc_execution_timeout_seconds,
        bash_seconds=sandbox.standalone_bash_timeout_seconds,
    )


async def _no_folder(_: Callable[[], AWSConnection]) -> AWSConnection:
    from ..aws.http import ConnectError  # noqa: PLC0415  # as below

    raise ConnectError("there is no folder for its socket: set TMPDIR to one that can be written")


class OnDemandSandbox:
    """The executors of a worker, reached from the first need on."""

    def __init__(self, settings: Settings, own: OwnExecutor | None) -> None:
        """`own` is the executor that `serve` has made for itself."""
        self._settings = settings.sandbox
        self._own = own
        self._client: SandboxClient | None = None
        self.enabled = sandboxes_enabled(settings)

    def client(self) -> SandboxClient:
        """Returns the client of the executors, which connects when it is used."""
        if self._client is None:
            from ..sandbox.address import (  # noqa: PLC0415  # most never need it
                ExecutorAddress,
                parse_addresses,
            )
            from ..sandbox.client import SandboxClient  # noqa: PLC0415
            from ..sandbox.connection import ExecutorConnection  # noqa: PLC0415

            if self._own is not None:
                connections = [
                    ExecutorConnection(self._own.address, None, connect=self._own.connect)
                ]
            elif self._settings.url is not None:
                token = self._settings.token
                addresses = parse_addresses(self._settings.url)
                connections = [ExecutorConnection(address, token) for address in addresses]
            else:
                nowhere = ExecutorAddress.from_url("unix:///nowhere")
                connections = [ExecutorConnection(nowhere, None, connect=_no_folder)]
            self._client = SandboxClient(connections)
        return self._client

    def health(self) -> SandboxHealth:
        """Makes the page that tells how sandboxes are."""
        settings = self._settings
        config: dict[str, object] = {
            "programmatic_tool_calling": settings.enable_programmatic_tool_calling,
            "standalone_code_execution": settings.enable_standalone_code_execution,
            "network_disabled": True,
        }
        if settings.url is None:  # executors elsewhere have settings of their own
            config |= {
                "isolation": settings.isolation,
                "sandbox_image": settings.ptc_sandbox_image,
                "session_timeout": settings.ptc_session_timeout_seconds,
                "execution_timeout": settings.ptc_execution_timeout_seconds,
                "memory_limit": settings.ptc_memory_limit,
            }
        return SandboxHealth(self.states if self.enabled else None, config)

    @property
    def in_use(self) -> bool:
        """Tells whether this worker has needed an executor."""
        return self._client is not None

    def states(self) -> dict[str, ExecutorState | None]:
        """Returns at once what is known of each executor; starts none."""
        if self._own is not None and not self._own.started:
            return {self._own.address.url: ExecutorState(status="idle", reason=_IDLE)}
        return self.client().states()

    async def close(self) -> None:
        """Lets go of connections, and of what this worker does about an executor of its own."""
        if self._client is not None:
            await self._client.close()
        if self._own is not None:
            await self._own.close()
