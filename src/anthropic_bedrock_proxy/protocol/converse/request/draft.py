"""A Converse request while it is being made: the state that its parts share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ....models.betas import BetaRules, choose_betas, flag_for
from ....models.table import Capabilities
from ...request.messages import MessagesRequest
from ...request.policy import Policy
from ..names import DocumentNames, ToolNames
from .cache import CachePoints


class ConverseDraft:
    """The parts of the request to send (`body`, `additional`), and notes for the client on them."""

    __slots__ = (
        "_capabilities",
        "_flags",
        "_needed",
        "_rules",
        "additional",
        "body",
        "cache",
        "called",
        "claude",
        "documents",
        "dropped",
        "features",
        "policy",
        "request",
        "stop_sequences",
        "thinks",
        "tool_names",
        "warnings",
    )

    def __init__(
        self,
        request: MessagesRequest,
        flags: Sequence[str],
        capabilities: Capabilities,
        rules: BetaRules,
        policy: Policy,
    ) -> None:
        """`flags` are the client's beta flags; the request itself is never changed."""
        self.request = request
        self.policy = policy
        self.features = capabilities.features
        self.claude = "claude" in capabilities.features
        self.thinks = self.claude and any(f.startswith("thinking_") for f in self.features)
        self.body: dict[str, Any] = {}
        self.additional: dict[str, Any] = {}  # additionalModelRequestFields
        self.dropped: list[str] = []
        self.warnings: list[str] = []
        self.stop_sequences: list[str] = []
        self.called: dict[str, None] = {}  # names of the tools that the history calls
        self.cache = CachePoints(capabilities.features, policy, self.dropped)
        self.documents = DocumentNames()
        self.tool_names = ToolNames(tool.name for tool in request.view.tools or ())
        self._capabilities = capabilities
        self._flags = flags
        self._rules = rules
        self._needed: list[str] = []

    def need(self, feature: str) -> bool:
        """Asks for the flag that `feature` needs; False if the model does not take it."""
        flag = flag_for(feature, self._capabilities, self._rules)
        if flag is None:
            return False
        self._needed.append(flag)
        return True

    def knows_flag_of(self, feature: str) -> bool:
        """Tells whether the proxy knows the flag for a feature; else the client has to send one."""
        return feature in self._rules.needed_for

    def settle_betas(self) -> None:
        """Adds the flags that this model takes; a model that is not Claude takes none."""
        flags = [*self._flags, *self._needed]
        if not self.claude:
            self.dropped += [f"anthropic-beta {flag}" for flag in flags]
            return
        accepted = self._capabilities.betas.union(self._needed)
        send, refused = choose_betas(flags, accepted, self._rules)
        self.dropped += [f"anthropic-beta {flag}" for flag in refused]
        if send:
            self.additional["anthropic_beta"] = send
