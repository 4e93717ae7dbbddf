"""The API's description against the running proxy: judged by tools that are not ours."""

from __future__ import annotations

import re
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import parts
import pytest
from servers import MASTER_KEY

CONFIG = Path(__file__).with_name("schemathesis.toml")
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "ignored_auth",
    "negative_data_rejection",
    "missing_required_header",
)
EXAMPLES = "12"  # of each operation, beside those that the schemas' edges give
SEED = "15"


@pytest.fixture(scope="module")
def python():
    return parts.api_docs_python()


@pytest.fixture
def described(start):
    """A proxy of its own: what is tried on it changes keys, prices and models."""
    return start(SANDBOX_ISOLATION="sandlock")


def run(folder, *command):
    """What a tool prints; it succeeds."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
    return done.stdout


def judge(python, folder, proxy, key, *options, path="/openapi.json"):
    """The number of cases that schemathesis tried, none of which failed."""
    printed = run(
        folder,
        *(python.with_name("schemathesis"), "--config-file", CONFIG, "run"),
        *(f"{proxy.url}{path}", "--header", f"x-api-key: {key}"),
        *("--seed", SEED, "--generation-deterministic", "--max-examples", EXAMPLES),
        *("--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS), *options),
    )
    cases = int(re.search(r"([\d,]+) generated", printed)[1].replace(",", ""))
    print(f"schemathesis: {cases} cases, 0 failures")
    assert '"level":"error"' not in proxy.logged()
    return cases


def test_the_description_is_valid_openapi(python, described, tmp_path):
    file = tmp_path / "openapi.json"
    with urllib.request.urlopen(f"{described.url}/openapi.json") as answer:
        file.write_bytes(answer.read())
    assert '"openapi":"3.1' in file.read_text()
    run(tmp_path, python, "-m", "openapi_spec_validator", "--schema", "3.1", file)


def test_what_is_served_is_what_is_described_for_an_operator(python, described, tmp_path):
    assert judge(python, tmp_path, described, MASTER_KEY) > 1500


def test_what_is_served_is_what_is_described_for_a_client(python, start, tmp_path):
    moved = "/help/api.json"
    proxy = start(SANDBOX_ISOLATION="sandlock", OPENAPI_URL=moved, DOCS_URL="")
    only = ("--include-path-regex", "^/(v1|help|docs)")
    assert judge(python, tmp_path, proxy, proxy.key, *only, path=moved) > 300
    for path in ("/openapi.json", "/docs"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{proxy.url}{path}")
