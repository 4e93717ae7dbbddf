"""The texts of labels: never the id of an account, whatever is labelled."""

from __future__ import annotations

from ...redaction import hide_accounts


def label(value: object) -> str:
    """Returns a label's text: of an ARN, without the account."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return hide_accounts(str(value))
