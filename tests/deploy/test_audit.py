"""The audit: it finds what advisories name, and calls nothing well that it could not check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from environments import environment
from ports import free_port

ROOT = Path(__file__).parents[2]
ADVISORY = {
    "id": "GHSA-1111-2222-3333",
    "summary": "Of this test.",
    "affected": [{"package": {"name": "redis", "ecosystem": "PyPI"}, "ranges": []}],
}


@pytest.fixture(scope="module")
def audit():
    python = environment(
        ROOT / ".venv-deploy", ROOT / "requirements" / "deploy.txt", "kubernetes-validate"
    )

    def run(url, **settings):
        command = [
            ROOT / "scripts" / "audit.sh",
            Path(sys.executable).parent,
            python.parent,
            "redis",
        ]
        environ = {**os.environ, "AUDIT_OSV_URL": url, **settings}
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

    return run


@contextmanager
def advisories(of):
    """The address of an OSV server that has an advisory of one package."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            known = [ADVISORY] if asked["package"]["name"] == of else []
            body = json.dumps({"vulns": known} if known else {}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def test_a_fault_that_is_known_fails(audit):
    with advisories("redis") as url:
        done = audit(url)
    assert done.returncode == 1
    assert ADVISORY["id"] in done.stdout


def test_nothing_known_is_well(audit):
    with advisories("another") as url:
        done = audit(url, AUDIT_STRICT="1")
    assert done.returncode == 0, done.stdout
    assert "requirements/redis.txt: no known faults" in done.stdout


def test_what_cannot_be_reached_is_not_called_well(audit):
    nobody = f"http://127.0.0.1:{free_port()}/v1/query"
    done = audit(nobody)
    assert done.returncode == 0
    assert "requirements/redis.txt: NOT CHECKED" in done.stdout
    assert audit(nobody, AUDIT_STRICT="1").returncode == 1
