"""The reference page lists the operations that there are, as they are."""

from __future__ import annotations

import re
from pathlib import Path

from anthropic_bedrock_proxy.admin.scopes import SCOPES
from anthropic_bedrock_proxy.admin.table import OPERATIONS

DOCS = Path(__file__).parents[2] / "docs"


def test_every_operation_is_documented_and_the_reverse():
    rows = re.findall(
        r"^\| `(\w+\.\w+)` \| ([A-Z]+) \| `(\S+)` \| `(\S+)` \|",
        (DOCS / "reference/http.md").read_text(),
        re.MULTILINE,
    )
    assert rows == [(op.name, op.method, op.path, op.scope) for op in OPERATIONS]


def test_every_scope_is_explained():
    page = (DOCS / "how-to/teams.md").read_text()
    for scope in SCOPES:
        assert f"`{scope}`" in page, scope
