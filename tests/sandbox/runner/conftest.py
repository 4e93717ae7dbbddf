from __future__ import annotations

import pytest
from inside import running


@pytest.fixture
def inside(tmp_path):
    with running(tmp_path) as it:
        yield it
