"""`sandbox check` and `sandbox build`."""

from __future__ import annotations

import json
import subprocess

from click.testing import CliRunner
from walls import docker_image

from anthropic_bedrock_proxy.cli.main import cli


def run(*words):
    return CliRunner().invoke(cli, ["sandbox", *words])


def test_check_says_what_came_of_each_attempt():
    done = run("check", "--isolation", "docker", "--image", docker_image(), "--json")
    report = json.loads(done.stdout)
    assert (done.exit_code, report["isolation"], report["status"]) == (0, "docker", "ready")
    assert report["holes"] == []
    assert len(report["attempts"]) > 10
    assert "done" not in report["attempts"].values()


def test_check_fails_where_there_is_no_sandbox(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    done = run("check", "--isolation", "docker")
    assert done.exit_code == 1
    assert "start it, or set DOCKER_HOST" in done.stdout


def test_build_makes_an_image_that_check_accepts():
    tag = "sandbox-tests-built:minimal"
    try:
        done = run("build", "--base", docker_image(), "--tag", tag)
        assert (done.exit_code, done.stdout) == (0, f"{tag}\n")
        assert run("check", "--isolation", "docker", "--image", tag).exit_code == 0
    finally:
        subprocess.run(["docker", "rmi", "-f", tag], capture_output=True, check=False)


def test_build_says_what_is_missing(tmp_path):
    done = run("build", "--folder", str(tmp_path))
    assert done.exit_code == 1
    assert "--folder" in done.stderr
