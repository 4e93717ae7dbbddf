from __future__ import annotations

import pytest
from write_page import COMMAND, PAGE, ROOT, page

from anthropic_bedrock_proxy.telemetry.metrics.compat import COMPAT
from anthropic_bedrock_proxy.telemetry.metrics.families import FAMILIES

ALL = [*FAMILIES, *(family for group in COMPAT.values() for family in group)]


def test_the_page_is_not_stale():
    assert (ROOT / PAGE).read_text() == page(), f"run {COMMAND}"


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_a_family_is_read_off_what_there_is(family):
    assert set(family.labels.values()) <= set(family.kind.labels)
    assert set(family.where) <= set(family.kind.labels)
    assert {number for one in family.numbers.values() for number in one} <= set(family.kind.numbers)
    assert bool(family.split) == (len(family.numbers) > 1)
    assert family.help.endswith(".")


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_no_label_is_a_secret_of_somebody(family):
    assert not {"api_key", "user", "user_id", "session", "session_id"} & {
        *family.labels,
        *family.fixed,
    }
