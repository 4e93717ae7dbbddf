from __future__ import annotations

from contextlib import closing

import pytest

from anthropic_bedrock_proxy.sandbox.executor.own_folder import OwnFolder, OwnFolderError


def test_the_next_one_of_its_name_finds_and_empties_what_one_that_was_killed_has_left(tmp_path):
    path = tmp_path / "files"
    path.mkdir(mode=0o700)
    (path / "file_1").write_text("x")
    (path / "folder").mkdir()
    (path / "folder" / "link").symlink_to(tmp_path)
    with closing(OwnFolder(path)) as folder:
        assert folder.path == path
        assert list(path.iterdir()) == []
    assert not path.exists()
    assert tmp_path.exists()


def test_it_is_for_its_user_alone(tmp_path):
    for path in (None, tmp_path / "files"):
        with closing(OwnFolder(path)) as folder:
            assert folder.path.stat().st_mode & 0o777 == 0o700
        assert not folder.path.exists()


def test_two_of_one_name_do_not_empty_each_others(tmp_path):
    path = tmp_path / "files"
    with closing(OwnFolder(path)):
        (path / "file_1").write_text("x")
        with pytest.raises(OwnFolderError, match="another executor uses it"):
            OwnFolder(path)
        assert (path / "file_1").exists()
    OwnFolder(path).close()


def test_what_others_may_enter_is_not_taken(tmp_path):
    path = tmp_path / "files"
    path.mkdir(mode=0o755)
    (path / "precious").write_text("x")
    with pytest.raises(OwnFolderError, match="not of this user alone"):
        OwnFolder(path)
    assert (path / "precious").exists()


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").mkdir(mode=0o700)
    (tmp_path / "precious" / "f").write_text("x")
    (tmp_path / "files").symlink_to(tmp_path / "precious")
    with pytest.raises(OwnFolderError):
        OwnFolder(tmp_path / "files")
    assert (tmp_path / "precious" / "f").exists()
