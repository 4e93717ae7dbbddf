"""The regions of AWS's own web search, apart from what calls it: every start looks at them.

Source: AWS's announcement of 2026-11-10.
"""

from __future__ import annotations

from typing import Final

REGIONS: Final = frozenset(
    ("us-east-1", "us-east-2", "us-west-2", "ap-southeast-2", "ap-northeast-1", "eu-west-1")
)
