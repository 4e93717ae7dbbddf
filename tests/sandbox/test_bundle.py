from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest

from anthropic_bedrock_proxy.sandbox import runner
from anthropic_bedrock_proxy.sandbox.bundle import runner_command, runner_program

FOLDER = Path(runner.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def test_the_command_is_isolated_from_the_environment_and_says_nothing_of_the_program():
    command = runner_command("/opt/python")
    assert command[:4] == ["/opt/python", "-I", "-u", "-c"]
    assert len(command) == 5
    assert runner_command()[0] == "python3"


def test_the_program_is_one_line_of_all_modules_the_supervisor_last():
    program = runner_program()
    assert program.count(b"\n") == 1
    assert program.endswith(b"\n")
    sources = json.loads(program)
    assert sorted(sources) == MODULES
    assert list(sources)[-1] == "supervisor"
    assert sources["capture"] == (FOLDER / "capture.py").read_text()
    assert runner_program() is program


@pytest.mark.parametrize("name", MODULES)
def test_modules_need_only_a_python_3_9_and_its_library(name):
    tree = ast.parse((FOLDER / f"{name}.py").read_text(), feature_version=(3, 9))
    assert ast.unparse(tree.body[1]) == "from __future__ import annotations"
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name.partition(".")[0] for alias in node.names} <= sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module.partition(".")[0] in sys.stdlib_module_names
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 1
            assert node.module is None or node.module in MODULES
