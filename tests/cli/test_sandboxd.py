from __future__ import annotations

import os
import subprocess
import sys

import pytest

from anthropic_bedrock_proxy.app.executor import executor_options
from anthropic_bedrock_proxy.cli.main import cli
from anthropic_bedrock_proxy.config import SettingsError, load_settings
from anthropic_bedrock_proxy.config.schema import given_texts
from anthropic_bedrock_proxy.sandbox.address import ExecutorAddress
from anthropic_bedrock_proxy.sandbox.child import MISSING_PACKAGES
from anthropic_bedrock_proxy.sandbox.wire import LONGEST_CELL_SECONDS

ADDRESS = ExecutorAddress.from_url("unix:///run/sandboxd.sock")


def sandboxd(folder, *options, code=None, **environ):
    """Runs the command in a folder without `.env`; returns (status, what it said)."""
    program = ["-c", code] if code else ["-m", "anthropic_bedrock_proxy"]
    done = subprocess.run(
        [sys.executable, *program, "sandboxd", *options],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["PTC_EXECUTION_TIMEOUT", "STANDALONE_BASH_TIMEOUT"])
def test_no_cell_may_take_longer_than_the_proxy_waits_for(name):
    load_settings(environ={name: f"{LONGEST_CELL_SECONDS:g}"}, env_file=None)
    with pytest.raises(SettingsError):
        load_settings(environ={name: f"{LONGEST_CELL_SECONDS + 1:g}"}, env_file=None)


def test_files_lie_where_the_next_start_of_the_same_executor_finds_them(tmp_path):
    sandbox = load_settings(environ={}, env_file=None).sandbox
    own = executor_options(sandbox, ADDRESS, "host-1f2e", lock=tmp_path / "lock")
    assert own.files == tmp_path / "files"
    folders = {executor_options(sandbox, ADDRESS, name).files for name in ("a", "a", "b")}
    assert sorted(folder.name for folder in folders) == ["sandbox-files-a", "sandbox-files-b"]


def test_settings_can_be_given_to_another_process():
    environ = {"SANDBOX_WARM": "9", "SANDBOX_ALLOW_DEGRADED": "yes", "PTC_MEMORY_LIMIT": "1g"}
    sandbox = load_settings(environ=environ, env_file=None).sandbox
    texts = given_texts(sandbox)
    assert texts == environ | {"SANDBOX_ALLOW_DEGRADED": "true"}
    assert load_settings(environ=texts, env_file=None).sandbox == sandbox


@pytest.mark.parametrize("name", ["PTC_NETWORK_DISABLED", "PTC_READ_ONLY_FS"])
def test_walls_that_were_to_be_taken_down_stand_and_it_is_said(name):
    (warning,) = load_settings(environ={name: "false"}, env_file=None).warnings
    assert warning.startswith(f"{name}=false is not honoured")


@pytest.mark.parametrize(
    ("options", "environ", "said"),
    [
        ((), {}, "--listen unix:///PATH"),
        (("--listen", "nonsense"), {}, "not unix:///PATH or http://HOST:PORT"),
        ((), {"SANDBOX_URL": "nonsense"}, "SANDBOX_URL"),
    ],
)
def test_a_wrong_command_is_told(tmp_path, options, environ, said):
    status, text = sandboxd(tmp_path, *options, **environ)
    assert status in {1, 2}
    assert said in text


def test_without_the_extra_it_says_what_to_install(tmp_path):
    code = (
        "import sys; sys.modules['aiohttp'] = None; "
        "from anthropic_bedrock_proxy.__main__ import main; main()"
    )
    status, text = sandboxd(tmp_path, "--listen", f"unix://{tmp_path}/s", code=code)
    assert status == MISSING_PACKAGES
    assert "needs the extra `sandbox`" in text


def test_the_command_is_in_the_list():
    assert "sandboxd" in cli.list_commands(None)
