"""Each kind of store, for the suite that all pass: what ports promise, whoever keeps the rows."""

from __future__ import annotations

import pytest
from stores import STORES


@pytest.fixture(params=STORES)
def opened(request, tmp_path):
    """`async with opened() as store`: an open, empty store of each kind."""
    return lambda: STORES[request.param](tmp_path)
