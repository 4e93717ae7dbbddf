"""The installations of tests/migration/golden, and their plans."""

from __future__ import annotations

from pathlib import Path

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.migration.documents import read_json, read_yaml
from anthropic_bedrock_proxy.migration.litellm.convert import convert
from anthropic_bedrock_proxy.migration.litellm.exports import LiteLLMExports, read_rows
from anthropic_bedrock_proxy.models.names import ModelNames

GOLDEN = Path(__file__).parents[1] / "migration" / "golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/config.yaml"))
ENVIRON = {"BEDROCK_REGION": "us-east-1"}
NAMES = ModelNames(load_model_table(), {})
KINDS = ("keys", "teams", "users")


def exports(case):
    files = {kind: case / f"{kind}.json" for kind in KINDS}
    return {kind: path for kind, path in files.items() if path.exists()}


def planned(case):
    rows = {
        kind: read_rows([read_json(path.read_text(), path.name)], kind)
        for kind, path in exports(case).items()
    }
    document = read_yaml((case / "config.yaml").read_text(), "config.yaml")
    return convert(document, LiteLLMExports(**rows), NAMES, ENVIRON)


def plan_of(text, environ=ENVIRON, **rows):
    """The plan of a config.yaml in a text, and of rows of keys, teams or users."""
    return convert(read_yaml(text, "config.yaml"), LiteLLMExports(**rows), NAMES, environ)
