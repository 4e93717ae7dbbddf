"""Texts of files as documents: YAML and JSON, without what either would drop in silence."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

from ..errors import needs_extra
from .plan import MigrationError


def read_yaml(text: str, name: str) -> Any:
    """Reads YAML; `name` is that of the file. Raises `MigrationError`."""
    try:
        import yaml  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise MigrationError(needs_extra(f"{name}: YAML", "migration")) from error

    class OneOfEachLoader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
        """A loader that refuses an object with the same name twice: YAML keeps the last alone."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            """Returns the object of a node."""
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    continue  # refused below
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise MigrationError(f"{name}: line {line}: {key.value} is there twice")
                seen.add(key.value)
            found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
            return found

    try:
        return yaml.load(text, OneOfEachLoader)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        # Without the excerpt of the file that the message would have: it may hold a secret.
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise MigrationError(f"{name}: line {line} is no YAML: {error.problem}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise MigrationError(f"{name}: is no YAML: {type(error).__name__}") from error


def read_json(text: str, name: str) -> Any:
    """Reads JSON, amounts with all their digits. Raises `MigrationError`."""
    try:
        return json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError as error:
        raise MigrationError(f"{name}: line {error.lineno} is no JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise MigrationError(f"{name}: is no JSON: {type(error).__name__}") from error
