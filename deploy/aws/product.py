"""Prints what deployments have to know of the product, read off its own code: product.json.

    .venv/bin/python deploy/aws/product.py > deploy/aws/product.json

The CDK app and the Terraform module read the file, so neither repeats it, and neither needs the
proxy installed. `tests/deploy/test_aws_facts.py` fails while the file is not what this prints.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from anthropic_bedrock_proxy.config.schema import fields
from anthropic_bedrock_proxy.config.sections.store import TableSettings
from anthropic_bedrock_proxy.config.settings import SECTIONS
from anthropic_bedrock_proxy.store.dynamodb.schema import NEEDED, SHAPES, creation

DEFAULT_PREFIX = "anthropic-proxy-"


def tables() -> dict[str, dict[str, Any]]:
    """Describes the needed tables: the setting of the name, its end, keys, indexes and TTL."""
    settings = {field.attribute: field for field in fields(TableSettings)}
    described = {}
    for kind in NEEDED:
        shape = SHAPES[kind]
        indexes = creation("", shape).get("GlobalSecondaryIndexes", [])
        described[kind] = {
            "setting": settings[kind].name,
            "suffix": settings[kind].default.removeprefix(DEFAULT_PREFIX),
            "hash_key": shape.hash,
            "range_key": shape.range,
            "indexes": {i["IndexName"]: i["KeySchema"][0]["AttributeName"] for i in indexes},
            "ttl": shape.ttl,
        }
    return described


def secrets() -> list[str]:
    """Lists the settings that are secret."""
    declared = (field for section in SECTIONS.values() for field in fields(section))
    return sorted(field.name for field in declared if field.setting.secret)


if __name__ == "__main__":
    facts = {"tables": tables(), "secret_settings": secrets()}
    sys.stdout.write(json.dumps(facts, indent=2) + "\n")
