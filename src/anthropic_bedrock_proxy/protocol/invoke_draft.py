"""An InvokeModel request while it is being made: the state that its editors share."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from .betas import BetaRules, choose_betas
from .capabilities import Generation
from .messages import MessagesRequest

encode = msgspec.json.Encoder().encode
decode: Any = msgspec.json.Decoder().decode
decode_raws = msgspec.json.Decoder(list[Raw]).decode


class Draft:
    """The fields that will be sent, the beta flags they need, and what was left out."""

    __slots__ = ("dropped", "fields", "flags", "generation", "request", "rules")

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

    def need(self, feature: str) -> bool:
        """Asks for the flag that `feature` needs; False if the model does not take it."""
        flag = self.rules.needed_for[feature]
        if flag not in self.generation.betas:
            return False
        if flag not in self.flags:
            self.flags.append(flag)
        return True

    def merge_output_config(self, name: str, value: Any, *, replace: bool) -> None:
        """Sets one member of the top-level `output_config`."""
        config = decode(self.fields.get("output_config", b"{}")) or {}
        if replace or name not in config:
            config[name] = value
        self.fields["output_config"] = Raw(encode(config))

    def settle_betas(self) -> None:
        """Writes `anthropic_beta`: the flags that this model takes."""
        if self.flags:
            send, refused = choose_betas(self.flags, self.generation.betas, self.rules)
            self.dropped += [f"anthropic-beta {flag}" for flag in refused]
            if send:
                self.fields["anthropic_beta"] = Raw(encode(send))
