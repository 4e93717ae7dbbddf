"""What CDK and Terraform both have to know, read from ../aws; `${name}` in it is filled in."""

from __future__ import annotations

import json
from pathlib import Path
from string import Template
from typing import Any, Final

FOLDER: Final = Path(__file__).parents[1] / "aws"


def text(file: str, **values: object) -> str:
    """Reads a file and fills it in, every `${name}` of it."""
    return Template((FOLDER / file).read_text()).substitute(values)


def document(file: str, **values: object) -> Any:
    """Reads a JSON file likewise."""
    return json.loads(text(file, **values))


SERVICE: Final = document("service.json")
PRODUCT: Final = document("product.json")
REFUSALS: Final = document("refusals.json")
ENVIRONMENT: Final = json.loads((FOLDER / "environment.json").read_text())  # not filled in
EXECUTOR_ENVIRONMENT: Final = document("executor-environment.json")
