from __future__ import annotations

import os

import pytest
from hypothesis import settings

# No deadline: these machines pause; the example count keeps the unit layer under its 10 s.
settings.register_profile("default", deadline=None, max_examples=60)
settings.load_profile("default")


def _refuse_skip(report) -> None:
    """Where every part has to be present (.ci/run), a skipped test is a failed one."""
    if report.skipped and os.environ.get("REQUIRE_ALL_PARTS") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but REQUIRE_ALL_PARTS is set: {report.longrepr[2]}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    _refuse_skip(report)
    return report
