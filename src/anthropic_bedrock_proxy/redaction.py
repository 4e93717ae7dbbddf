"""Takes out of texts what must not reach clients or logs: keys, ARNs, account ids."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

_ARN: Final = re.compile(r"arn:aws[\w-]*:[^\s\"',]+")
_SHORTEST_SECRET: Final = 4  # what is shorter stands in any text by chance
_MOST_SHOWN: Final = 32
_MOST_SHOWN_BYTES: Final = 2000
_LONGEST_SHOWN: Final = 200
_UNPRINTABLE: Final = re.compile(r"[^ -~]")
# The id of an account, also at the end of a sentence; no part of a longer or a decimal number.
ACCOUNT: Final = re.compile(r"(?<!\d)(?<!\d\.)\d{12}(?!\d)(?!\.\d)")
# The account of an ARN, however often that was escaped; at the end, the ARN was cut. It stands
# between colons, so no number of a JSON document is one.
_ARN_ACCOUNT: Final = re.compile(r"(:|%(?:25)*3[aA])[0-9]{12}(?=:|%(?:25)*3[aA]|$)")
# The account that the hosts of some services begin with: 123456789012.dkr.ecr.… has images.
_HOST_ACCOUNT: Final = re.compile(r"(?<![0-9])[0-9]{12}(?=\.(?:dkr|ddb)[.-])")


@cache
def _keys() -> re.Pattern[str]:
    """Finds keys by how they begin (ours escaped, too), by a name before them, or by a frame."""
    # Compiled when it is first needed, as most starts never need it. What is matched has no
    # character that ends a text in JSON. A letter before it may be the end of an escape: that of a
    # new line in JSON is one, those of colours in terminals (`[31m`, grep's `[K`) and of mail
    # (`=3D`) are others. The first look is for speed, and so is the most of a
    # token's head: a text of nothing but beginnings would be read to its end from each.
    return re.compile(
        r"(?=[sSAbeB])"
        r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9a-fA-F]{4})|(?<=[%=][0-9a-fA-F]{2})"
        r"|(?<=\\x[0-9a-fA-F]{2})|(?<=[\[0-9;][mK]))(?:"
        r"(?P<ours>[sS][kK](?:-|%2[dD]|%252[dD]))(?!\.\.\.)[^\s\"'\\/?&#,;<>]{4,}"
        r"|(?:AKIA|ASIA)[A-Z0-9]{12,}"
        r"|(?:ABSK|bedrock-api-key-)[A-Za-z0-9+/=%_-]{16,}"
        r"|eyJ[A-Za-z0-9_-]{8,2048}+\.[A-Za-z0-9_.-]{8,}"
        r"|(?P<name>(?i:secret_?access_?key)[\"'\\]*\s*[=:]\s*[\"'\\]*)[A-Za-z0-9/+]{40}"
        r"|(?P<frame>BEGIN [A-Z ]{0,20}PRIVATE KEY-----)(?:[A-Za-z0-9+/=\s]|\\+[nr])++"
        r")"
    )


def hide_keys(text: str) -> str:
    """Hides in `text` what begins as a key does; "sk-...wxyz", a hint, stays."""
    return _keys().sub(_hidden, text)


def _hidden(found: re.Match[str]) -> str:
    return f"{found['ours'] or found['name'] or found['frame'] or ''}(hidden)"


def hide_secrets(text: str, secrets: Iterable[str]) -> str:
    """Hides in `text` the `secrets` that are known, also as JSON has them."""
    for secret in secrets:
        for form in (secret, json.dumps(secret)[1:-1]):
            text = text.replace(form, "(hidden)")
    return text


def hideable(*secrets: str | None) -> tuple[str, ...]:
    """Returns the known secrets that are to be hidden wherever they stand: none that is short."""
    return tuple(one for one in secrets if one is not None and len(one) >= _SHORTEST_SECRET)


def hide_accounts(text: str) -> str:
    """Hides the accounts of ARNs and hosts in `text`, which may be JSON; the rest stays."""
    if ".dkr" in text or ".ddb" in text:
        text = _HOST_ACCOUNT.sub("(account)", text)
    return _ARN_ACCOUNT.sub(r"\1(account)", text) if "arn" in text else text


def redact(message: str) -> str:
    """Returns `message` without ARNs and account ids."""
    return ACCOUNT.sub("(account)", _ARN.sub("(arn)", message))


def shown(items: Sequence[str]) -> list[str]:
    """Returns as many of `items` as a header or a log line takes: printable, no keys or accounts.

    A client's own words are in them: a request may cause any number of any length. Says how many
    more there are.
    """
    texts: list[str] = []
    left = _MOST_SHOWN_BYTES
    for item in items[:_MOST_SHOWN]:
        text = hide_accounts(hide_keys(_UNPRINTABLE.sub("?", item[:_LONGEST_SHOWN])))
        left -= len(text) + 2
        if left < 0:
            break
        texts.append(text)
    if (more := len(items) - len(texts)) > 0:
        texts.append(f"and {more} more")
    return texts
