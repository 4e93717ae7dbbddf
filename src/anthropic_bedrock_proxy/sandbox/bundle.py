"""The runner as one line: how it comes into a sandbox in which nothing can be written.

The first line on the runner's stdin is a JSON object of module name → source; the command starts a
small program that reads it, makes a package `runner` of it, and calls `main` of the last module.
What that does not import is not compiled, so bring-up pays only for what it needs.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Final

_LAST: Final = "supervisor"

# Bytes behind the line are the executor's, and given to `main`.
BOOT: Final = """
import json, os, sys
from importlib.machinery import ModuleSpec

begun = bytearray()
while True:
    more = os.read(0, 65536)
    if not more:
        sys.exit(0)
    begun += more
    if b"\\n" in more:
        break
line, _, rest = bytes(begun).partition(b"\\n")
sources = json.loads(line)

class Sources:
    def find_spec(self, name, path=None, target=None):
        if name == "runner" or name.startswith("runner.") and name[7:] in sources:
            return ModuleSpec(name, self, is_package=name == "runner")
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        name = module.__name__[7:]
        if name:
            code = compile(sources[name], "<runner/%s.py>" % name, "exec", dont_inherit=True)
            exec(code, module.__dict__)

sys.meta_path.insert(0, Sources())
last = "runner." + list(sources)[-1]
__import__(last)
sys.modules[last].main(rest)
"""


def runner_command(python: str = "python3") -> list[str]:
    """Returns the command of a runner; it waits for `runner_program` on its stdin.

    Isolated from the environment and from the folder in which it starts, and with no site packages
    of the user's.
    """
    return [python, "-I", "-u", "-c", BOOT]


@cache
def runner_program() -> bytes:
    """Returns the line with all sources of the runner."""
    folder = resources.files(f"{__package__}.runner")
    names = sorted(
        file.name.removesuffix(".py")
        for file in folder.iterdir()
        if file.name.endswith(".py") and file.name != "__init__.py"
    )
    names.sort(key=lambda name: name == _LAST)
    sources = {name: (folder / f"{name}.py").read_text("utf-8") for name in names}
    return json.dumps(sources, separators=(",", ":")).encode() + b"\n"
