"""What the images `minimal` and `ptc` leave out of what their parts bring along, and why.

A name is of a module or a folder. What is missed is found by a test that imports every module of
the proxy inside the image (tests/deploy/test_images.py).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

Ignore = Callable[[str, Sequence[str]], list[str]]

# Of the standard library: installers, tests, tools of developers, user interfaces, dead protocols.
_NEVER = (
    *("__phello__", "__hello__", "__pycache__", "curses", "dbm", "distutils", "ensurepip"),
    *("idlelib", "lib2to3", "msilib", "pydoc_data", "site-packages", "dist-packages", "test"),
    *("tests", "tkinter", "turtledemo", "unittest", "venv", "xmlrpc", "antigravity", "cgi"),
    *("cgitb", "crypt", "doctest", "ftplib", "imaplib", "mailbox", "nntplib", "pdb"),
    *("pickletools", "poplib", "pydoc", "smtpd", "telnetlib", "this", "turtle", "_pydecimal"),
    *("sitecustomize", "_distutils_system_mod"),  # Debian's own
    *("windows_events", "windows_utils", "macholib"),  # of asyncio and ctypes, for other systems
)
# What no module of the proxy and of its packages imports, but code of models may: where this
# interpreter can run such code (sandlock, in `ptc`), all of it stays.
_FOR_CODE_ALONE = (
    *("multiprocessing", "statistics", "argparse", "optparse", "cmd", "code", "codeop", "sched"),
    *("bz2", "lzma", "tarfile", "zipapp", "plistlib", "graphlib", "shelve", "filecmp", "fileinput"),
    *("dom", "sax"),  # of xml; botocore reads by xml.etree
    *("aifc", "chunk", "colorsys", "imghdr", "sndhdr", "sunau", "wave", "uu", "xdrlib", "mailcap"),
    *("bdb", "cProfile", "profile", "pstats", "trace", "symtable", "pyclbr", "modulefinder"),
    *("tabnanny", "compileall", "py_compile", "rlcompleter", "pipes", "imp", "_pyrepl"),
    *("asynchat", "asyncore", "smtplib", "webbrowser", "_pyio"),
    *("_aix_support", "_osx_support", "_bootsubprocess", "nturl2path"),
)
_EXTENSIONS_NEVER = re.compile(
    r"(_test|_xxtest|_ctypes_test|xx|_tkinter|_curses|readline|nis|audioop|ossaudiodev|_dbm|_gdbm"
    r"|_crypt|spwd)[\w.-]*\.so"
)
_FILES_FOR_CODE_ALONE = re.compile(
    r"_sysconfigdata\w*[\w.-]*\.py"  # how the interpreter was built
    r"|(_bz2|_lzma|_lsprof|_multiprocessing|_posixshmem|_uuid|_xxsubinterpreters|_interp)[\w.-]*\.so"
)
# Of packages: what builds, types and tests them, and the notes of whoever installed them.
_SOURCES = (".pyi", ".pyx", ".pxd", ".c", ".h", ".cpp", ".pyc")
_UNUSED = frozenset(
    (
        *("__pycache__", "bin", "flit_core", "py.typed", "test", "tests"),
        *("INSTALLER", "RECORD", "REQUESTED"),
    )
)
# Of single packages, by the folder.
_UNUSED_IN = {
    # botocore's own list of authorities; the image has the system's in that place.
    "botocore": {"cacert.pem"},
    # The world's time zones, for names that nobody gives: AWS's times name their offset.
    "dateutil/zoneinfo": {"dateutil-zoneinfo.tar.gz"},
    # Modules of Redis' server that limits do not use; redis-py imports them when they are called.
    "redis/commands": {"bf", "json", "search", "timeseries", "vectorset"},
    "redis": {"multidb"},
    "redis/asyncio": {"multidb"},
}
# Of botocore's descriptions of services: those that credentials come from.
_SERVICES = frozenset(("signin", "sso", "sso-oidc", "sts"))


def of_the_library(*, runs_code: bool) -> Ignore:
    """Makes what `shutil.copytree` ignores in the standard library."""
    unwanted = frozenset(_NEVER if runs_code else (*_NEVER, *_FOR_CODE_ALONE))

    def ignored(_: str, names: Sequence[str]) -> list[str]:
        return [
            name
            for name in names
            if name.removesuffix(".py") in unwanted
            or name.startswith("config-")
            or name.endswith((".a", ".pyc", ".exe"))
            or _EXTENSIONS_NEVER.fullmatch(name)
            or (not runs_code and _FILES_FOR_CODE_ALONE.fullmatch(name))
        ]

    return ignored


def of_packages(folder: str, names: Sequence[str]) -> list[str]:
    """Returns what `shutil.copytree` ignores in the folder of packages."""
    place = Path(folder)
    if place.parts[-2:] == ("botocore", "data"):
        return [name for name in names if "." not in name and name not in _SERVICES]
    unwanted = {
        name
        for inside, of_it in _UNUSED_IN.items()
        if place.as_posix().endswith(f"/{inside}")
        for name in of_it
    }
    return [
        name
        for name in names
        if name in unwanted
        or name in _UNUSED
        or name.endswith(_SOURCES)
        or re.fullmatch(r"flit_core-[\w.]+\.dist-info", name)  # the build backend
    ]
