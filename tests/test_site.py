"""The site that `make docs` makes: strict, whole, and nothing in it comes from elsewhere."""

from __future__ import annotations

import asyncio
import functools
import http.server
import os
import re
import subprocess
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from browser import dumped, opened
from environments import environment
from programs import program

ROOT = Path(__file__).parents[1]
OUTSIDE = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "bench/README.md")
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
FOUND = """
const links = [...document.querySelectorAll("a.md-search-result__link")].map((link) => link.href);
return links.length ? links : null
"""
FETCHED = "return performance.getEntriesByType('resource').map((one) => one.name)"
BLOCKS = {"p", "li", "td", "th", "dd"}


class PageParts(HTMLParser):
    """What a built page links to and loads, its anchors, and its text outside of code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links, self.loaded, self.anchors, self.text = [], [], set(), ""
        self._in_code = 0
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values["id"]} if "id" in values else set()
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADED and LOADED[tag] in values and values.get("rel") not in ("next", "prev"):
            self.loaded.append(values[LOADED[tag]])
        self._in_code += tag in {"code", "pre", "script", "style"}
        self.text += "\n\n" if tag in BLOCKS else ""

    def handle_endtag(self, tag):
        self._in_code -= tag in {"code", "pre", "script", "style"}

    def handle_data(self, data):
        self.text += "" if self._in_code else data


def build(folder, repository=""):
    """The site, built into a folder; skips the test where mkdocs cannot be installed."""
    python = environment(ROOT / ".venv-docs", ROOT / "requirements" / "docs.txt", "mkdocs-material")
    environ = {"REPOSITORY_URL": repository, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [python.parent / "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def pages(site):
    return {
        path.relative_to(site).as_posix(): PageParts(path.read_text())
        for path in site.rglob("*.html")
    }


@pytest.fixture
def served(site):
    """The address of the site on loopback."""
    handler = functools.partial(QuietHandler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def file_of(site, page, link):
    """The file that a link of a page leads to, and its anchor."""
    there = urlsplit(urljoin(f"https://site.example/{page}", link))
    path = unquote(there.path).lstrip("/")
    return path if path and not path.endswith("/") else f"{path}index.html", there.fragment


def test_every_page_is_in_the_site(site, pages):
    for path in (ROOT / "docs").rglob("*.md"):
        place = path.relative_to(ROOT / "docs").with_suffix("")
        assert f"{place.as_posix()}/index.html" in pages
    heads = "".join((site / page).read_text() for page in pages)
    titles = re.findall("<h1[^>]*>([^<]*)", heads)
    for name in OUTSIDE:
        assert (ROOT / name).read_text().partition("\n")[0].removeprefix("# ") in titles


def test_links_and_anchors_lead_somewhere(site, pages):
    checked = 0
    for page, parts in pages.items():
        for link in parts.links:
            if urlsplit(link).scheme:
                continue
            path, anchor = file_of(site, page, link)
            assert (site / path).is_file(), f"{page}: {link}"
            if anchor and path in pages and not anchor.startswith("__"):
                assert anchor in pages[path].anchors, f"{page}: {link}"
            checked += 1
    assert checked > 2000


def test_nothing_is_loaded_from_elsewhere(site, pages):
    for page, parts in pages.items():
        assert parts.loaded
        for url in parts.loaded:
            assert not urlsplit(url).netloc, f"{page}: {url}"
            assert (site / file_of(site, page, url)[0]).is_file(), f"{page}: {url}"
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)[\"' ]*(?:https?:)?//", style.read_text()), style


def test_no_markdown_is_left_over(pages):
    for page, parts in pages.items():
        left = re.search(r"```|\*\*|\]\(|\|\s*---|(?<!\n)\n(?:[-*]|\d{1,2}\.) \w", parts.text)
        assert left is None, f"{page}: {parts.text[left.start() - 80 : left.end() + 40]}"


@pytest.mark.parametrize("page", ["", "how-to/clients/"])
def test_a_browser_asks_nobody_else(served, page, tmp_path):
    _, complaints, fetched = dumped(program("chromium"), f"{served}{page}", tmp_path)
    assert complaints == []
    assert len(fetched) > 3
    assert all(url.startswith(served) for url in fetched), fetched


def test_search_finds_a_page_by_what_is_on_it(served, tmp_path):
    async def found():
        async with opened(program("chromium"), f"{served}?q=monthly+budget", tmp_path) as page:
            links = await page.until(FOUND)
            return links, await page.run(FETCHED)

    links, fetched = asyncio.run(found())
    assert f"{served}how-to/budgets/" in {link.partition("?")[0] for link in links}
    assert all(url.startswith(served) for url in fetched), fetched


def turned(text, repository):
    """What the links of a page become: by the function that all go through, without other pages."""
    script = f"""
import sys
from types import SimpleNamespace as Some
sys.path.insert(0, "scripts")
import site_pages
files = Some(get_file_from_path=lambda path: path == "how-to/keys.md")
page = Some(file=Some(src_uri="how-to/install.md"))
config = Some(extra={{"repository": {repository!r}}})
print(site_pages.on_page_markdown({text!r}, page, config, files))
"""
    python = environment(ROOT / ".venv-docs", ROOT / "requirements" / "docs.txt", "mkdocs-material")
    return subprocess.run(
        [python, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_what_is_no_page_is_linked_in_the_repository_or_not_at_all():
    same = "[keys](keys.md#change), [out](https://a.example)"
    text = f"{same}, [chart](../../deploy/helm/)"
    assert turned(text, "").stdout == f"{same}, chart\n"
    there = "https://git.example.com/p/tree/HEAD/deploy/helm"
    assert turned(text, "https://git.example.com/p").stdout == f"{same}, [chart]({there})\n"


def test_a_link_that_leads_nowhere_ends_the_build():
    done = turned("[gone](../gone.md)", "")
    assert done.returncode == 1
    assert "docs/how-to/install.md: ../gone.md leads nowhere" in done.stderr
