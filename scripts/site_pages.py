"""The pages of the site that do not lie in docs/, and links between all of them.

mkdocs knows the files of docs/ only. So the pages of `OUTSIDE` are added where the site has them,
and what pages link to by its path in the repository becomes a link by its place in the site. What
is no page is linked in the repository, at the address `extra.repository`; without one its name
stands there without a link.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from urllib.parse import urlsplit

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# By their paths in the repository: their places in the site.
OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "bench/README.md": "benchmarks.md",
}
DECISIONS = "decisions/index.md"
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_NUMBERED = re.compile(r"^1\. .*\n(?:(?:   .*|\d+\. .*)?\n)*", re.MULTILINE)
_ROW = re.compile(r"^ *\|.*$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that do not lie in docs/."""
    for path, place in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, DECISIONS, content=_decisions()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turns links by paths in the repository into links by places in the site."""
    here = page.file.src_uri
    path = next((path for path, place in OUTSIDE.items() if place == here), f"docs/{here}")

    def turned(link: re.Match[str]) -> str:
        name, target, anchor = link[1], link[2], link[3] or ""
        if urlsplit(target).scheme:
            return link[0]
        there = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
        place = _place(there)
        if files.get_file_from_path(place):
            return f"[{name}]({posixpath.relpath(place, posixpath.dirname(here))}{anchor})"
        if not (ROOT / there).exists():
            raise PluginError(f"{path}: {target} leads nowhere")
        repository = config.extra["repository"]
        return f"[{name}]({repository}/tree/HEAD/{there})" if repository else name

    return _indented(_ROW.sub(_unescaped, _LINK.sub(turned, markdown)))


def _unescaped(row: re.Match[str]) -> str:
    """A row of a table, where code has a backslash before `|` for GitHub: mkdocs would show it."""
    return re.sub(r"`[^`]*`", lambda code: code[0].replace(r"\|", "|"), row[0])


def _indented(markdown: str) -> str:
    """Lists with four spaces before what is in an item, which Python-Markdown asks for."""
    parts = _FENCED.split(markdown)
    for number in range(0, len(parts), 2):
        part = re.sub(r"^  - ", "    - ", parts[number], flags=re.MULTILINE)
        parts[number] = _NUMBERED.sub(_with_four, part)
    return "".join(parts)


def _with_four(items: re.Match[str]) -> str:
    """A numbered list whose items are paragraphs, four spaces from the margin."""
    inside = re.sub(r"^   ", "    ", items[0], flags=re.MULTILINE)
    return re.sub(r"(?<=\n)(?=\d+\. )", "\n", inside) if "\n\n  " in inside else inside


def _place(path: str) -> str:
    """Where the site has what the repository has under `path`, if it has it."""
    inside = path.removeprefix("docs/")
    return OUTSIDE.get(path) or (f"{inside}/index.md" if (ROOT / path).is_dir() else inside)


def _decisions() -> str:
    """A page that links all decisions, by their titles."""
    titles = {
        page.name: page.read_text().partition("\n")[0].removeprefix("# ")
        for page in sorted((ROOT / "docs" / "decisions").glob("*.md"))
    }
    return "# Decisions\n\n" + "".join(f"- [{title}]({name})\n" for name, title in titles.items())
