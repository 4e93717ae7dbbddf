"""pipx and uv, as a person on a machine of their own: the wheel, one command, an answer."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import anthropic
import pytest
from environments import environment
from servers import ROOT, wait_for

KEY = "key-of-the-demonstration"
MODEL = "claude-haiku-4-5"
# How this machine reaches its index; of other settings a fresh home has none.
REACHED_BY = ("PIP_", "UV_", "SSL_", "REQUESTS_", "HTTP_", "HTTPS_", "NO_", "https_", "no_")
INSTALL = {"pipx": ("pipx", "install"), "uv": ("uv", "tool", "install", "--python", sys.executable)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(command, capture_output=True, check=True)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def programs():
    """The folder of pipx and uv."""
    requirements = ROOT / "requirements" / "installers.txt"
    return environment(ROOT / ".venv-installers", requirements, "uv").parent


@pytest.mark.parametrize("name", INSTALL)
def test_from_the_wheel_to_an_answer(name, wheel, programs, tmp_path):
    program, *words = INSTALL[name]
    reached = {one: os.environ[one] for one in os.environ if one.startswith(REACHED_BY)}
    environ = {**reached, "PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    installing = [programs / program, *words, wheel]
    done = subprocess.run(installing, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    installed = tmp_path / ".local" / "bin" / "anthropic-bedrock-proxy"
    told = subprocess.check_output([installed, "--version"], env=environ, text=True)
    assert wheel.name.split("-")[1] in told
    with (tmp_path / "out").open("wb") as out:
        proxy = subprocess.Popen(
            [installed, "serve", "--demo", "--port", "0"],
            cwd=tmp_path,
            env={**environ, "MASTER_API_KEY": KEY},
            stdout=out,
            stderr=out,
        )
    try:
        said = wait_for(
            lambda: re.search(r"http://[\d.]+:\d+", (tmp_path / "out").read_text()), "it serves"
        )
        with anthropic.Anthropic(base_url=said[0], api_key=KEY, max_retries=0) as client:
            question = [{"role": "user", "content": "Hello"}]
            answer = client.messages.create(model=MODEL, max_tokens=100, messages=question)
        assert answer.content[0].text
    finally:
        proxy.terminate()
        assert proxy.wait(15) == 0
