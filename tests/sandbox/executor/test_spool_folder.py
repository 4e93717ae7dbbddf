from __future__ import annotations

import stat
import subprocess
import sys

from anthropic_bedrock_proxy.sandbox.executor.spool_folder import SpoolFolder

HOLDS = """
import pathlib, sys
from anthropic_bedrock_proxy.sandbox.executor.spool_folder import SpoolFolder
folder = SpoolFolder(pathlib.Path(sys.argv[1]))
(folder.path / "file").write_text("x")
print(folder.path, flush=True)
sys.stdin.read()
"""


def test_a_folder_is_its_users_alone_and_goes_with_what_is_in_it(tmp_path):
    folder = SpoolFolder(tmp_path)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    (folder.path / "file").write_text("x")
    folder.close()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_executor_has_left_goes_with_the_next_and_not_before(tmp_path):
    program = [sys.executable, "-c", HOLDS, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(program, **pipes) as other:
        path = tmp_path / other.stdout.readline().strip()
        mine = SpoolFolder(tmp_path)
        assert (path / "file").exists()  # it is held
        other.kill()
    assert (path / "file").exists()
    next_one = SpoolFolder(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([mine.path, next_one.path])
    mine.close()
    next_one.close()


def test_what_is_no_folder_of_a_spool_stays(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (tmp_path / "sandbox-spool-link").symlink_to(kept)
    (tmp_path / "sandbox-spool-file").write_text("x")
    (tmp_path / "other").mkdir()
    folder = SpoolFolder(tmp_path)
    folder.close()
    assert {path.name for path in tmp_path.iterdir()} == {
        *("kept", "other", "sandbox-spool-link", "sandbox-spool-file")
    }
