"""The patterns of fields of operations, each with the words by which a refusal describes it."""

from __future__ import annotations

from typing import Final

from ..models.registry import DEFAULT_PROVIDER

_REGION: Final = r"[a-z]{2,}(-[a-z]+)+-\d{1,2}"
FLAG: Final = r"^[A-Za-z0-9_][A-Za-z0-9._*-]{0,127}\Z"
SOMETHING: Final = r"\S"
VISIBLE: Final = r"^[!-~]+\Z"
NO_SPACES: Final = r"^\S+\Z"
URL: Final = r"^https?://[^\s@?#]+\Z"
PRICE_REGION: Final = rf"^(\*|{_REGION})\Z"
PROVIDER: Final = rf"^(?!{DEFAULT_PROVIDER}$)[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}\Z"
REGION: Final = rf"^{_REGION}\Z"
ROLE: Final = r"^arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+\Z"
ALIAS: Final = r"^\S(.*\S)?\Z"
SHA256: Final = r"^[0-9a-f]{64}\Z"
HINT: Final = r"^sk-\.\.\.[!-~]{4}\Z"

WORDS: Final = {
    FLAG: "up to 128 letters, digits, dots, dashes, underscores and asterisks",
    SOMETHING: "text with more than spaces in it",
    VISIBLE: "letters, digits and signs of ASCII, without spaces",
    NO_SPACES: "text without spaces",
    URL: "an http(s) URL without a user, a query and a fragment",
    PRICE_REGION: "an AWS region such as eu-central-1, or *",
    ALIAS: "text without spaces around it",
    PROVIDER: (
        "up to 64 letters, digits, dots, dashes and underscores, the first a letter or a digit, "
        f"and not {DEFAULT_PROVIDER}"
    ),
    REGION: "an AWS region such as eu-central-1",
    ROLE: "the ARN of an IAM role",
    SHA256: "the 64 lowercase hex digits of a SHA-256",
    HINT: "sk-... and the last four characters of the secret",
}
_SHOWN: Final = {repr(pattern): words for pattern, words in WORDS.items()}


def words(shown: str) -> str:
    """Returns the words for a pattern as msgspec shows it, in quotes."""
    return _SHOWN.get(shown, "of another form")
