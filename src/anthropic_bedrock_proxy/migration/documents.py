"""Texts of files as documents: YAML and JSON, without what either would drop in silence."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Final

from ..errors import needs_extra
from .plan import MigrationError

_QUOTED: Final = re.compile(r"['\"].{2,}['\"]", re.DOTALL)  # a sign alone is no secret
_LONGEST_NUMBER: Final = 1000
_LONGEST_YAML: Final = 4 * 1024 * 1024  # of which PyYAML makes a hundred times as much memory
_MOST_NAMES: Final = 10_000  # of an object; a few lines of `<<` can merge billions


def read_yaml(text: str, name: str) -> Any:
    """Reads YAML; `name` is that of the file. Raises `MigrationError`."""
    if len(text) > _LONGEST_YAML:
        raise MigrationError(f"{name}: is longer than {_LONGEST_YAML} characters")
    try:
        import yaml  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MigrationError(needs_extra(f"{name}: YAML", "migration")) from error

    class OneOfEachLoader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
        """A loader that refuses an object with the same name twice: YAML keeps the last alone."""

        def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
            """Returns the node of an object, before what it merges (`<<`) is put into it."""
            node: yaml.MappingNode = super().compose_mapping_node(anchor)
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue  # refused below
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise MigrationError(f"{name}: line {line}: {key.value} is there twice")
                seen.add(key.value)
            return node

        def flatten_mapping(self, node: yaml.MappingNode) -> None:
            """Puts into an object what it merges."""
            super().flatten_mapping(node)
            if len(node.value) > _MOST_NAMES:
                line = node.start_mark.line + 1
                raise MigrationError(f"{name}: line {line}: has more than {_MOST_NAMES} names")

        def construct_scalar(self, node: yaml.Node) -> Any:
            """Returns the text of a node, unless it is a number that Python could not write."""
            scalar = super().construct_scalar(node)
            if node.tag.endswith(":int") and len(scalar) > _LONGEST_NUMBER:
                raise ValueError("a number of too many digits")
            return scalar

    try:
        return yaml.load(text, OneOfEachLoader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        # Without the excerpt of the file that the message would have, and without the word that
        # it quotes: a secret that begins with * is an alias to YAML, and one with ! a tag.
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = _QUOTED.sub("...", error.problem or "")
        raise MigrationError(f"{name}: line {line} is no YAML: {problem}") from error
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
    ) as error:  # ValueError: of dates that there are not
        raise MigrationError(f"{name}: is no YAML: {type(error).__name__}") from error


def read_json(text: str, name: str) -> Any:
    """Reads JSON, amounts with all their digits. Raises `MigrationError`."""
    try:
        return json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise MigrationError(f"{name}: line {error.lineno} is no JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise MigrationError(f"{name}: is no JSON: {type(error).__name__}") from error
