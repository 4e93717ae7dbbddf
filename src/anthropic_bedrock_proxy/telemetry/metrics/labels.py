"""The texts of labels: never the id of an account, whatever is labelled."""

from __future__ import annotations

from ...redaction import ACCOUNT


def label(value: object) -> str:
    """Returns a label's text: of an ARN, without the account."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return ACCOUNT.sub("(account)", text) if text.startswith("arn:") else text
