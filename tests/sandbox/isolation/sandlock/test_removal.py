"""Trees go whole, whatever code of models has made of them, and nothing beside them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from anthropic_bedrock_proxy.sandbox.isolation.sandlock.removal import remove_tree

DEEP = "import os\nfor _ in range(3000):\n    os.mkdir('d'); os.chdir('d')\nos.chmod('.', 0)"


def test_a_tree_that_is_deeper_than_any_path_goes(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run([sys.executable, "-c", DEEP], cwd=tree, check=True)
    remove_tree(tree)
    assert not list(tmp_path.iterdir())


def test_modes_do_not_keep_it(tmp_path):
    tree = tmp_path / "tree"
    for name in ("unreadable", "unwritable"):
        (tree / name / "inner").mkdir(parents=True)
        (tree / name / "file").write_text("x")
    (tree / "unreadable").chmod(0)
    (tree / "unwritable").chmod(0o500)
    tree.chmod(0)
    remove_tree(tree)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("inside", [True, False])
def test_links_go_and_what_they_lead_to_stays(tmp_path, inside):
    kept, tree = tmp_path / "kept", tmp_path / "tree"
    kept.mkdir(mode=0o750)
    (kept / "file").write_text("x")
    if inside:
        tree.mkdir()
    (tree / "link" if inside else tree).symlink_to(kept)
    remove_tree(tree)
    assert list(tmp_path.iterdir()) == [kept]
    assert list(kept.iterdir()) == [kept / "file"]
    assert kept.stat().st_mode & 0o777 == 0o750


def test_nothing_to_remove_is_no_error(tmp_path):
    remove_tree(tmp_path / "tree")
    assert not list(tmp_path.iterdir())
