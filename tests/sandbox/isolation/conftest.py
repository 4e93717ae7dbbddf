from __future__ import annotations

import pytest
from walls import KINDS


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param
