"""botocore as the judge of Converse requests."""

from __future__ import annotations

import re
from base64 import b64decode
from functools import cache

import botocore.session
import msgspec
from botocore.validate import ParamValidator

_BLOBS = {"bytes", "redactedContent"}


@cache
def _operation(name):
    model = botocore.session.get_session().get_service_model("bedrock-runtime")
    return model.operation_model(name).input_shape


def check_shapes(body: bytes, *, stream: bool) -> None:
    """botocore's own validation, and the patterns and enumerations that it leaves to AWS."""
    shape = _operation("ConverseStream" if stream else "Converse")
    given = {"modelId": "m", **_with_blobs(msgspec.json.decode(body))}
    report = ParamValidator().validate(given, shape)
    assert not report.has_errors(), report.generate_report()
    _check_words(given, shape)


def _with_blobs(tree):
    """As botocore wants them, where nothing of the client's own JSON can stand."""
    if isinstance(tree, list):
        return [_with_blobs(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    return {
        key: value
        if key in {"input", "json", "additionalModelRequestFields"}
        else b64decode(value, validate=True)
        if key in _BLOBS
        else _with_blobs(value)
        for key, value in tree.items()
    }


def _check_words(value, shape):
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        for key, member in value.items():
            _check_words(member, shape.members[key])
    elif shape.type_name == "list":
        for item in value:
            _check_words(item, shape.member)
    elif shape.type_name == "map":
        for key, item in value.items():
            _check_words(key, shape.key)
            _check_words(item, shape.value)
    elif shape.type_name == "string":
        pattern = shape.metadata.get("pattern")
        assert pattern is None or re.fullmatch(pattern, value), (pattern, value)
        assert value in shape.enum or not shape.enum, (shape.enum, value)
