from __future__ import annotations

import subprocess
from pathlib import Path

import parts
import pytest
from servers import PYTHON, ROOT, clean_environment


@pytest.fixture(scope="module")
def python():
    return parts.old_python()


def test_old_sdk_passes_the_same_suite(python, tmp_path):
    """Another interpreter, the same file: see test_sdk_current.py."""
    here = Path(__file__).parent
    done = subprocess.run(
        [
            *(python, "-m", "pytest", here / "test_sdk_current.py", "-q", "--color=no"),
            *("-p", "no:cacheprovider", "--confcutdir", here, "--basetemp", tmp_path / "inner"),
        ],
        cwd=ROOT,
        env=clean_environment(tmp_path, PROXY_PYTHON=PYTHON),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    summary = done.stdout.splitlines()[-1]
    assert done.returncode == 0, done.stdout
    assert "passed" in summary
    assert "skipped" not in summary
