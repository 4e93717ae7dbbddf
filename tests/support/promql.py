"""Which metrics and labels a PromQL query names.

No parser: names are found by what stands around them, and what is unknown is an error of the test,
so whatever is misread is seen. Grammar itself is promtool's to judge.

    sum by (le) (rate(a_bucket{b="c"}[5m]))  ->  {"a_bucket": {"b"}}, grouped by {"le"}
"""

from __future__ import annotations

import re

import msgspec

_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
_RANGE = re.compile(r"\[[^\]]*\]")
_NAME = re.compile(r"(?<![\w$.])[a-zA-Z_:][\w:]*")
_CALL = re.compile(r"(?<![\w$.])([a-zA-Z_]\w*)\s*\(")
_KEYWORDS = {"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "inf"}


class Named(msgspec.Struct):
    """What a query names: metrics with the labels of their selectors, and labels grouped by."""

    metrics: dict[str, set[str]]
    grouped: set[str]


def names_of(query: str) -> Named:
    """Returns the metrics and labels that a query names."""
    bare = _RANGE.sub("", _TEXT.sub('""', query))
    grouped = {
        name.strip() for found in _GROUPING.findall(bare) for name in found.split(",") if name
    }
    bare = _GROUPING.sub(" ", bare)
    metrics: dict[str, set[str]] = {}
    for metric, inside in _SELECTOR.findall(bare):
        labels = {part.split("=")[0].split("!")[0].strip() for part in inside.split(",") if part}
        metrics.setdefault(metric, set()).update(labels)
    rest = _SELECTOR.sub(" ", bare)
    functions = set(_CALL.findall(rest)) | {  # `sum by (a) (b)`, its grouping gone
        name for name in _NAME.findall(rest) if name in {"sum", "min", "max", "count", "topk"}
    }
    for name in set(_NAME.findall(rest)) - functions - _KEYWORDS:
        metrics.setdefault(name, set())
    return Named(metrics, grouped)
