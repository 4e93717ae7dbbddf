"""A native request (InvokeModel, Messages endpoints) while it is made, shared by its editors."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from ...models.betas import BetaRules, choose_betas, flag_for
from ...models.table import Capabilities
from ..raw import decode, decode_raws, encode
from ..request.messages import MessagesRequest
from ..request.policy import Policy

__all__ = ["Headers", "NativeDraft", "NativeRequest", "decode", "decode_raws", "encode"]
Headers = tuple[tuple[str, str], ...]  # lower-case names
_SCOPE: Final = b'"scope"'  # a field of cache_control that only Anthropic's own API has
_MARKER: Final = b'"cache_control"'
_HOUR: Final = b'"1h"'
_FIVE_MINUTES: Final = "5m"


class NativeRequest(msgspec.Struct, frozen=True):
    """A finished native request; `dropped` holds the paths of what was left out of it."""

    body: bytes
    headers: Headers = ()
    dropped: tuple[str, ...] = ()


class NativeDraft:
    """The fields that will be sent, the beta flags they need, and what was left out."""

    __slots__ = (
        "_default_ttl",
        "_needed",
        "_rewrites_markers",
        "capabilities",
        "dropped",
        "fields",
        "flags",
        "policy",
        "request",
        "rules",
        "stays",
    )

    def __init__(
        self,
        request: MessagesRequest,
        flags: list[str],
        capabilities: Capabilities,
        rules: BetaRules,
        policy: Policy,
    ) -> None:
        """`flags` are the client's beta flags; the request itself is never changed."""
        self.request = request
        self.fields = dict(request.fields)
        self.flags = flags
        self.capabilities = capabilities
        self.rules = rules
        self.policy = policy
        self.dropped: list[str] = []
        self._needed: list[str] = []
        self._default_ttl = policy.default_cache_ttl
        self._rewrites_markers = policy.rewrites_markers
        self.stays = request.plain and not self._rewrites_markers  # all but `system`

    def need(self, feature: str) -> bool:
        """Asks for the flag that `feature` needs; False if the model does not take it."""
        flag = flag_for(feature, self.capabilities, self.rules)
        if flag is None:
            return False
        self._needed.append(flag)
        return True

    def marks(self, data: bytes | Raw) -> bool:
        """Tells whether a piece of JSON needs an edit of the cache_control that it holds."""
        if self._rewrites_markers:
            return True
        text = bytes(data)
        return _SCOPE in text or (_HOUR in text and "cache_1h" not in self.capabilities.features)

    def marks_within(self, data: bytes) -> bool:
        """Tells whether a piece of JSON needs an edit of some cache_control, if it holds any."""
        if self._rewrites_markers or "cache_1h" not in self.capabilities.features:
            return _MARKER in data and self.marks(data)
        return data.rfind(_SCOPE) >= 0  # backwards: twice as fast on prose

    def mark(self, tree: dict[str, Any], path: str) -> None:
        """Brings the cache_control of a block or tool into the form that this model takes.

        `path` is empty for the top-level one. To be called in the order tools, system, messages.
        """
        control = tree.get("cache_control")
        if not isinstance(control, dict):
            return
        policy = self.policy
        where = f"{path}.cache_control".removeprefix(".")
        if not policy.cache:
            del tree["cache_control"]
            self.dropped.append(where)
            return
        if control.pop("scope", None) is not None:  # Bedrock has no cache scopes
            self.dropped.append(f"{where}.scope")
        ttl = policy.cache_ttl or control.get("ttl") or self._default_ttl
        if ttl == "1h" and "cache_1h" not in self.capabilities.features:
            self.dropped.append(f"{where}.ttl")
            ttl = None
        if ttl == _FIVE_MINUTES:
            self._default_ttl = None  # an hour may not follow upon five minutes
        if ttl is None:
            control.pop("ttl", None)
        else:
            control["ttl"] = ttl

    def betas(self) -> list[str]:
        """Returns the flags to send, those that this model takes; notes the others as dropped."""
        if not self.flags and not self._needed:
            return []
        accepted = self.capabilities.betas.union(self._needed)
        send, refused = choose_betas(self.flags + self._needed, accepted, self.rules)
        self.dropped += [f"anthropic-beta {flag}" for flag in refused]
        return send

    def set(self, name: str, tree: object) -> None:
        """Sets a field that will be sent."""
        self.fields[name] = Raw(encode(tree))
