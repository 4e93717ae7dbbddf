"""Reads which packages of the system are installed: the databases of dpkg and of apk.

Read as files: an image need not have the programs that keep them.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path

from packageurl import PackageURL

_DPKG = Path("/var/lib/dpkg")
_APK = Path("/lib/apk/db/installed")
# Short names of licences in a machine-readable copyright file (Debian's DEP 5); other files begin
# whole texts with that word.
_LICENSE = re.compile(
    r"^License:[ \t]*([\w.+-]+(?: (?:and|or|with) [\w.+-]+)*)[ \t]*$", re.MULTILINE
)


@dataclass(frozen=True)
class SystemPackage:
    """A package of the distribution, as its database has it."""

    kind: str  # of its package URL
    name: str
    version: str
    architecture: str
    files: frozenset[Path]
    licenses: list[str]

    def has(self, path: str) -> bool:
        """Tells whether a file is its own, by whichever way it is named."""
        return bool(path) and Path(path).resolve() in self.files

    @property
    def purl(self) -> PackageURL:
        """Returns its package URL, with the distribution that scanners look its faults up by."""
        system = platform.freedesktop_os_release()
        distro = "-".join(filter(None, (system["ID"], system.get("VERSION_ID"))))
        qualifiers = {"arch": self.architecture, "distro": distro}
        return PackageURL(self.kind, system["ID"], self.name, self.version, qualifiers)

    @property
    def copyright(self) -> Path:
        """Returns where Debian keeps its licence."""
        return Path("/usr/share/doc") / self.name / "copyright"


def installed() -> Iterator[SystemPackage]:
    """Yields every package of the machine."""
    if (_DPKG / "status").exists():
        yield from _of_dpkg()
    if _APK.exists():
        yield from of_apk(_APK.read_text())


def _of_dpkg() -> Iterator[SystemPackage]:
    for block in (_DPKG / "status").read_text().strip().split("\n\n"):
        said = Parser().parsestr(block, headersonly=True)
        if not said["Status"].endswith(" installed"):
            continue
        name = said["Package"]
        lists = (
            _DPKG / "info" / f"{name}{suffix}.list" for suffix in ("", f":{said['Architecture']}")
        )
        paths = [line for each in lists if each.exists() for line in each.read_text().splitlines()]
        yield SystemPackage(
            kind="deb",
            name=name,
            version=said["Version"],
            architecture=said["Architecture"],
            files=frozenset(map(_place, paths)),
            licenses=_dpkg_licenses(Path("/usr/share/doc") / name / "copyright"),
        )


def _dpkg_licenses(path: Path) -> list[str]:
    text = path.read_text(errors="replace") if path.exists() else ""
    return sorted(set(_LICENSE.findall(text))) or ["see its copyright file"]


def _place(path: str) -> Path:
    """Returns where a file is, not what it leads to: a folder may be a link, as /lib is."""
    return Path(path).parent.resolve() / Path(path).name


def of_apk(text: str) -> Iterator[SystemPackage]:
    """Reads apk's database: a block for each package, a letter before each line."""
    for block in text.strip().split("\n\n"):
        fields: dict[str, str] = {}
        files, folder = [], ""
        for line in block.splitlines():
            letter, _, value = line.partition(":")
            if letter == "F":
                folder = value
            elif letter == "R":
                files.append(_place(f"/{folder}/{value}"))
            else:
                fields.setdefault(letter, value)
        yield SystemPackage(
            kind="apk",
            name=fields["P"],
            version=fields["V"],
            architecture=fields["A"],
            files=frozenset(files),
            licenses=[fields.get("L", "unknown")],
        )
