"""Fields found in and taken out of bodies that are never built, against the same done on trees."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.gateway.overrides.raw_paths import EXTRA, locate, strip

DIGITS = "9" * 5000
NAMES = ["a", "b", "type", "custom", "text", "a.b"]
trees = st.recursive(
    st.none() | st.integers() | st.sampled_from(NAMES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=12,
)
objects = st.dictionaries(st.sampled_from([*NAMES, EXTRA]), trees)


def stripped(node, path):
    """The same on a tree, in place."""
    head, rest = path[0], path[1:]
    if isinstance(node, list):
        return head == "*" and bool(rest) and True in [stripped(item, rest) for item in node]
    if not isinstance(node, dict):
        return False
    if not rest:
        return node.pop(head, ...) is not ...
    if head in (node.get("type"), "custom") and stripped(node, rest):
        return True
    return head in node and stripped(node[head], rest)


paths = st.lists(st.sampled_from(["*", "a", "b", "text", "custom"]), min_size=1, max_size=5)


@given(objects, paths, st.booleans())
def test_what_is_taken_out_is_what_would_be_taken_out_of_the_tree(tree, path, indented):
    body = json.dumps(tree, indent=2 if indented else None).encode()
    left, removed = strip(body, [".".join(path)])
    within = tree.get(EXTRA)
    found = [stripped(tree, path), stripped(within, path)]
    assert removed == ([".".join(path)] if True in found else [])
    assert json.loads(left) == tree
    if not removed:
        assert left is body


@pytest.mark.parametrize(
    "body",
    [
        '{"tools":[{"name":"t","strict":true,"n":%s}],"n":%s}',
        '{"tools":[{"name":"t","str\\u0069ct":true,"n":%s}],"n":%s}',
    ],
)
def test_numbers_of_any_length_stay_as_they_are(body):
    """A stored override on a field made such a request fail with 500."""
    left, removed = strip((body % (DIGITS, DIGITS)).encode(), ["tools.*.strict"])
    assert removed == ["tools.*.strict"]
    assert left.decode() == f'{{"tools":[{{"name":"t","n":{DIGITS}}}],"n":{DIGITS}}}'
    fraction = b'{"strict":1,"x":[1.10,1e400,-0.0]}'
    assert strip(fraction, ["strict"]) == (b'{"x":[1.10,1e400,-0.0]}', ["strict"])


@pytest.mark.parametrize("body", [b"[]", b"1", b"not JSON", b'{"a":' * 5000, b'{"strict":}', b""])
def test_what_is_no_object_is_left_alone(body):
    assert strip(body + b'"strict"', ["strict"]) == (body + b'"strict"', [])
    assert locate(body, ["strict"]) is None


def test_what_is_nested_too_deeply_is_left_alone():
    deep = b'{"a":[' + b"[" * 5000 + b'{"strict":1}' + b"]" * 5001 + b"}"
    assert strip(deep, ["a.*.strict"]) == (deep, [])


def test_only_the_field_of_its_kind_is_taken_out():
    blocks = [
        {"type": "text", "citations": []},
        {"type": "document", "citations": {"enabled": True}},
        {"type": 5, "citations": []},
    ]
    body = json.dumps({"messages": [{"content": blocks}, {"content": "text"}]}).encode()
    left, _ = strip(body, ["messages.*.content.*.text.citations"])
    assert json.loads(left)["messages"][0]["content"] == [{"type": "text"}, *blocks[1:]]


BODY = {
    "speed": "fast",
    "tools": [{"name": "t", "strict": True, "custom": {"strict": False, "only": 1}}],
    "messages": [{"content": [{"type": "text", "text": {"citations": 1}, "citations": []}]}],
    "thinking": {"type": "enabled", "display": "x"},
    "a.b": 1,
    "c": {"d.e": 1, "d": {"e": 1}, "x.y": 1},
    EXTRA: {"effort": 1, "speed": 2},
}


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("thinking.enabled.display", "thinking.display"),
        ("thinking.display", "thinking.display"),
        ("tools.0.strict", "tools.*.strict"),
        ("tools.0.custom.only", "tools.*.custom.only"),
        ("effort", "effort"),
        ("messages.0.content.0.citations", "messages.*.content.*.citations"),
        # In two ways: by its kind and by its key, or in two places.
        ("tools.0.custom.strict", None),
        ("messages.0.content.0.text.citations", None),
        ("speed", None),
        # A key with dots.
        ("a.b", None),
        ("c.d.e", None),
        ("c.x.y", None),
        ("c.d", "c.d"),
        # Not there.
        ("thinking.adaptive.display", None),
        ("tools.1.strict", None),
        ("tools.strict", None),
        ("tools.0", None),
        ("tools.00000000.strict", None),
        ("tools.0.name.strict", None),
        ("max_tokens", None),
    ],
)
def test_where_a_path_leads(path, keys):
    found = locate(json.dumps(BODY).encode(), path.split("."))
    assert (found and ".".join(found.keys)) == keys


def test_the_kind_of_what_holds_the_field_is_told():
    body = json.dumps(BODY).encode()
    assert locate(body, ["thinking", "display"]).kind == "enabled"
    assert locate(body, ["tools", "0", "strict"]).kind == ""
