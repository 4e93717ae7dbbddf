"""A validated request, in the one form that the simulator answers, whatever its dialect.

Token counts are an estimate that depends on nothing but the request: a token is four characters
of text or JSON, an image or a document of bytes is a flat amount, each message costs a little.
"""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from typing import Any

import msgspec

from .models.model import Model

_CHARACTERS_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 3
TOKENS_PER_ATTACHMENT = 1500
_SIGNED = b"bedrock-sim/1:"


class Guardrail(msgspec.Struct, frozen=True, kw_only=True):
    """The guardrail a request asks for; `blocks` when it would stop the prompt."""

    identifier: str
    traced: bool = False
    blocks: bool = False


class Prompt(msgspec.Struct, kw_only=True):
    """The parts of a request that decide the reply.

    `characters` of text and `attachments` make the input estimate; `forced_tool` is the schema
    and name of the tool the model must call; `thinking` is `off`, `shown` or `omitted`;
    `json_schema` is that of a structured answer; `edits_context` asks for a report of context
    edits, `safeguards` for one of checks of tool calls; `response_paths` and `cache_points` belong
    to Converse.
    """

    model: Model
    last_user_text: str = ""
    characters: int = 0
    messages: int = 0
    attachments: int = 0
    max_tokens: int = 4096
    stop_sequences: list[str] = []
    forced_tool: tuple[str, dict[str, Any]] | None = None
    thinking: str = "off"
    json_schema: dict[str, Any] | None = None
    response_paths: list[str] = []
    cache_points: int = 0
    edits_context: bool = False
    safeguards: bool = False
    service_tier: str | None = None
    guardrail: Guardrail | None = None

    @property
    def input_tokens(self) -> int:
        """Returns the estimate that usage and CountTokens report."""
        return (
            tokens(self.characters)
            + TOKENS_PER_MESSAGE * self.messages
            + TOKENS_PER_ATTACHMENT * self.attachments
        )


def tokens(characters: int) -> int:
    """Returns the tokens for a number of characters, at least one for any text."""
    return -(-characters // _CHARACTERS_PER_TOKEN)


def signature(thinking: str) -> str:
    """Makes an opaque signature of a thinking text, for `signature_fits` to check."""
    digest = hashlib.sha256(thinking.encode()).digest()
    return b2a_base64(_SIGNED + digest, newline=False).decode()


def signature_fits(thinking: str, given: str) -> bool:
    """Tells whether a signature may belong to a text; any stranger's may."""
    if not given:
        return False
    return not given.startswith(_PREFIX) or given == signature(thinking)


# The first whole base64 groups of every signature of ours.
_PREFIX = b2a_base64(_SIGNED[: len(_SIGNED) // 3 * 3], newline=False).decode()
