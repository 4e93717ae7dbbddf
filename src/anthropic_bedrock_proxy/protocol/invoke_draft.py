"""An InvokeModel request while it is being made: the state that its editors share."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from ..errors import InvalidRequestError
from .betas import BetaRules, choose_betas
from .capabilities import Generation
from .messages import MessagesRequest

encode = msgspec.json.Encoder().encode
# Fractions stay the text that the client wrote: 1.10 is not 1.1, 1e400 is no double at all.
decode: Any = msgspec.json.Decoder(float_hook=Raw).decode
SCOPE: Final = b'"scope"'  # of a cache_control: only Anthropic's own API has it
decode_raws = msgspec.json.Decoder(list[Raw]).decode


class Draft:
    """The fields that will be sent, the beta flags they need, and what was left out."""

    __slots__ = ("_needed", "dropped", "fields", "flags", "generation", "request", "rules")

    def __init__(
        self,
        request: MessagesRequest,
        flags: list[str],
        generation: Generation,
        rules: BetaRules,
    ) -> None:
        """`flags` are the client's beta flags; the request itself is never changed."""
        self.request = request
        self.fields = dict(request.fields)
        self.flags = list(flags)
        self.generation = generation
        self.rules = rules
        self.dropped: list[str] = []
        self._needed: list[str] = []

    def need(self, feature: str) -> bool:
        """Asks for the flag that `feature` needs; False if the model does not take it."""
        rules, generation = self.rules, self.generation
        flag = rules.needed_for.get(feature, "")
        if flag in rules.blocklist or not (
            flag in generation.betas or flag in generation.on_use or flag in rules.passthrough
        ):
            return False
        self._needed.append(flag)
        return True

    def strip_scope(self, tree: dict[str, Any], path: str) -> None:
        """Bedrock has no cache scopes: the marker stays, without its scope."""
        control = tree.get("cache_control")
        if isinstance(control, dict) and "scope" in control:
            del control["scope"]
            self.dropped.append(f"{path}.cache_control.scope")

    def merge_output_config(self, name: str, value: Any, *, replace: bool) -> None:
        """Sets one member of the top-level `output_config`."""
        config = decode(self.fields.get("output_config", b"{}"))
        if config is None:
            config = {}
        elif not isinstance(config, dict):
            raise InvalidRequestError("output_config: Expected `object`")
        if replace or name not in config:
            config[name] = value
        self.fields["output_config"] = Raw(encode(config))

    def settle_betas(self) -> None:
        """Writes `anthropic_beta`: the flags that this model takes."""
        if self.flags or self._needed:
            accepted = self.generation.betas.union(self._needed)
            send, refused = choose_betas(self.flags + self._needed, accepted, self.rules)
            self.dropped += [f"anthropic-beta {flag}" for flag in refused]
            if send:
                self.fields["anthropic_beta"] = Raw(encode(send))
