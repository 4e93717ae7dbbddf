"""Collects the files of the minimal image into a folder: an interpreter, packages, and no more.

Run it by the interpreter that the image is to have, with the packages installed in a folder:

    python3 rootfs.py --packages /packages --root /root-of-image --origins /origins.json

What comes about:

    /usr/python/bin/python3          the interpreter, which finds the rest by its own place
    /usr/python/lib/python3.14/      the standard library and the packages, as byte code
    /usr/bin/anthropic-bedrock-proxy the command; the kernel reads its first line, without a shell
    /usr/lib/, /lib64/ld-linux-…     the shared libraries of all that, where the loader looks first
    /etc/                            certificates of authorities, the user 65532
    /data/, /tmp/                    of that user, and of everybody
    /usr/share/licenses/             the licence of each package

What of the parts stays out, and why, is in leftout.py.

Byte code stands in the place of its source (PEP 3147, "sourceless"), so nothing is compiled at a
start and a read-only root loses nothing. Packages stand beside the standard library, where every
interpreter looks without the module `site`, which distributions change and a start waits for.
"""

from __future__ import annotations

import argparse
import compileall
import json
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from py_compile import PycInvalidationMode

import leftout

USER = 65532
PREFIX = Path("usr/python")  # of /usr a sandbox of sandlock sees all: its Python is this one
COMMAND = "anthropic-bedrock-proxy"

_HELPED = ("anthropic_bedrock_proxy", "click")  # they show their docstrings


def main() -> None:
    """Makes the folder."""
    parser = argparse.ArgumentParser(description="Collects the files of the minimal image.")
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--origins", type=Path, required=True, help="written, for sbom.py")
    parser.add_argument("--runs-code", action="store_true", help="code of models may run in it")
    options = parser.parse_args()
    root: Path = options.root
    library = root / PREFIX / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    standard = Path(sysconfig.get_path("stdlib"))
    ignored = leftout.of_the_library(runs_code=options.runs_code)
    shutil.copytree(standard, library, ignore=ignored)
    extensions = {path: standard / path.relative_to(library) for path in library.rglob("*.so*")}
    shutil.copytree(options.packages, library, ignore=leftout.of_packages, dirs_exist_ok=True)
    keep_licenses(library, root / "usr/share/licenses")
    interpreter = root / PREFIX / "bin/python3"
    interpreter.parent.mkdir()
    program = Path(sys.executable).resolve()
    shutil.copy(program, interpreter)
    binaries = [interpreter, *sorted(root.rglob("*.so*"))]
    libraries = copy_libraries(binaries, root)
    strip([*binaries, *libraries])
    compile_all(library)
    write_etc(root, library)
    write_origins(options.origins, root, {interpreter: program, **extensions, **libraries})
    write_command(root / "usr/bin" / COMMAND)
    (root / "data").mkdir()
    shutil.chown(root / "data", USER, USER)
    (root / "tmp").mkdir()
    (root / "tmp").chmod(0o1777)


def keep_licenses(library: Path, kept: Path) -> None:
    """Copies each package's licence to a place of its own; what is installed keeps its METADATA."""
    for metadata in sorted(library.glob("*.dist-info")):
        for found in sorted(metadata.rglob("*")):
            if found.is_file() and re.match(r"(?i)(licen[cs]e|copying|notice)", found.name):
                target = kept / metadata.name.removesuffix(".dist-info") / found.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(found, target)


def copy_libraries(binaries: Sequence[Path], root: Path) -> dict[Path, Path]:
    """Copies the shared libraries of `binaries`; returns whence each copy came.

    The loader itself has to stand where the interpreter names it; all others stand in /usr/lib.
    """
    copies = {}
    for library in sorted(set(_libraries(binaries))):
        is_loader = library.name.startswith("ld-")
        place = root / str(library).lstrip("/") if is_loader else root / "usr/lib" / library.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library.resolve(), place)
        copies[place] = library
    return copies


def _libraries(binaries: Sequence[Path]) -> Iterator[Path]:
    for binary in binaries:
        command = ["ldd", binary]  # of the base image
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
        for line in done.stdout.splitlines():
            if (found := re.search(r"(/\S+) \(0x", line)) and not found[1].startswith(str(binary)):
                library = Path(found[1])
                yield library
                # What glibc opens when a thread ends by pthread_exit, as those that still run when
                # the interpreter ends: without it the process aborts.
                if library.name == "libc.so.6":
                    yield library.with_name("libgcc_s.so.1")


def strip(binaries: Sequence[Path]) -> None:
    """Takes symbols that only debuggers read out of the binaries."""
    for binary in binaries:
        command = ["strip", "--strip-unneeded", binary]
        subprocess.run(command, stderr=subprocess.DEVNULL, check=False)  # noqa: S603  # as above


def compile_all(library: Path) -> None:
    """Puts byte code in the place of its source. Docstrings stay where they are shown."""
    helped = [library / name for name in _HELPED]
    skipped = re.compile("|".join(re.escape(f"{folder}/") for folder in helped))
    for folders, optimize, rx in (([library], 2, skipped), (helped, 0, None)):
        for folder in folders:
            compileall.compile_dir(
                folder,
                maxlevels=20,
                quiet=2,
                legacy=True,
                optimize=optimize,
                rx=rx,
                stripdir=str(library.parents[3]),
                invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
            )
    for source in library.rglob("*.py"):
        if source.with_suffix(".pyc").exists():
            source.unlink()


def write_etc(root: Path, library: Path) -> None:
    """Writes what the C library and TLS look up: the user, hosts first, the authorities."""
    etc = root / "etc"
    (etc / "ssl/certs").mkdir(parents=True)
    (etc / "passwd").write_text(f"proxy:x:{USER}:{USER}::/data:/sbin/nologin\n")
    (etc / "group").write_text(f"proxy:x:{USER}:\n")
    (etc / "nsswitch.conf").write_text("hosts: files dns\n")
    authorities = next(
        path
        for path in map(Path, ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/cert.pem"))
        if path.exists()
    )
    copied = "/etc/ssl/certs/ca-certificates.crt"
    shutil.copy(authorities, root / copied.lstrip("/"))
    # Where OpenSSL looks by itself is compiled into it: /usr/lib/ssl on Debian.
    looked_up = root / ssl.get_default_verify_paths().openssl_cafile.lstrip("/")
    looked_up.parent.mkdir(parents=True, exist_ok=True)
    for link in (looked_up, library / "botocore/cacert.pem"):
        link.symlink_to(copied)


def write_origins(path: Path, root: Path, origins: Mapping[Path, Path]) -> None:
    """Writes which file of the base each binary was, for the list of what is inside."""
    named = {f"/{place.relative_to(root)}": str(origin) for place, origin in origins.items()}
    path.write_text(json.dumps(named))


def write_command(path: Path) -> None:
    """Writes the command."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"#!/{PREFIX}/bin/python3 -IS\nfrom anthropic_bedrock_proxy.__main__ import main\nmain()\n"
    )
    path.chmod(0o755)


if __name__ == "__main__":
    main()
