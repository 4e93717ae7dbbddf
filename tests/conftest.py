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


# A minute of waiting each, in files of few tests: xdist would leave them for the end, when nothing
# is left to do beside them. The first builds images that other files want, too.
_FIRST = (
    "tests/deploy/test_images.py",
    "tests/e2e/test_undelivered_usage.py",
    "tests/e2e/test_sandbox_code.py",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415  # only with several processes

    class WaitingFirst(LoadFileScheduling):
        def _assign_work_unit(self, node):
            for name in reversed(_FIRST):
                if name in self.workqueue:
                    self.workqueue.move_to_end(name, last=False)
            super()._assign_work_unit(node)

    return WaitingFirst(config, log) if config.option.dist == "loadfile" else None
