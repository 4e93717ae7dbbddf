from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
from factories import make_application
from http_client import Client

from anthropic_bedrock_proxy.http import docs_page
from anthropic_bedrock_proxy.http.docs_page import SWAGGER_UI, DocsPage

FOLDER = Path(docs_page.__file__).with_name("swagger_ui")
LAZY = """
import sys
import anthropic_bedrock_proxy.app.http
found = [name for name in sys.modules if ".http.openapi" in name or ".admin.table" in name]
assert not found, found
"""


def ask(path, method="GET"):
    app = make_application(build_admin=lambda: None)
    return asyncio.run(Client(app, method, path).send())


def templates(openapi_path, docs_path):
    page = DocsPage((), openapi_path=openapi_path, docs_path=docs_path, key_header="x-api-key")
    return [route.template for route in page.routes()]


def test_the_description_needs_no_key():
    answer = ask("/openapi.json")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.json["openapi"].startswith("3.1")
    assert "/docs/{name}" in answer.json["paths"]


def test_moved_paths_are_described_where_they_are():
    page = DocsPage((), openapi_path="/api.json", docs_path="/pages", key_header="x-api-key")
    (get,) = {route.methods["GET"] for route in page.routes() if route.template == "/api.json"}
    reply = asyncio.run(get(None))
    assert set(re.findall(rb'"(/[\w./{}]+)":\{"get"', reply.body)) == {
        *(b"/api.json", b"/pages", b"/pages/{name}")
    }
    assert asyncio.run(get(None)).body is reply.body  # made once


def test_the_page_lets_nothing_in_from_elsewhere():
    answer = ask("/docs")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in policy
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = answer.body.decode()
    assert not re.search(r"https?:|<script>|style=|//", page.replace("<!doctype", ""))


def test_every_file_that_the_page_names_is_served_and_may_be_kept():
    names = re.findall(r'(?:src|href)="(/docs/[^"?]+)\?([^"]+)"', ask("/docs").body.decode())
    assert len(names) == 3
    for path, version in names:
        answer = ask(path)
        assert answer.status == 200
        assert answer.body == (FOLDER / path.rpartition("/")[2]).read_bytes()
        assert answer.headers["content-type"].startswith(("text/javascript", "text/css"))
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert version == SWAGGER_UI


@pytest.mark.parametrize("name", ["README.md", "..%2Fdocs_page.py", "%2Fetc%2Fpasswd", "x"])
def test_no_other_file_is_served(name):
    assert ask(f"/docs/{name}").status == 404


def test_the_licence_and_the_version_are_beside_the_files():
    readme = (FOLDER / "README.md").read_text()
    assert f"Swagger UI {SWAGGER_UI}" in readme
    for name in ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"):
        assert f"`{name}`" in readme
        assert (FOLDER / name).stat().st_size > 0


def test_each_path_can_be_switched_off():
    assert templates("/a", "/b") == ["/a", "/b", "/b/{name}"]
    assert templates("/a", None) == ["/a"]
    assert templates(None, "/b") == []  # there is nothing to show


def test_who_never_asks_imports_nothing_of_it():
    subprocess.run([sys.executable, "-c", LAZY], check=True)
