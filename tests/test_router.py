"""Path templates: one look-up for what is fixed, the first template that fits for the rest."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.errors import NotFoundError
from anthropic_bedrock_proxy.router import Router, method_not_allowed

ROUTER = Router(
    [
        ("/models", "list"),
        ("/models/{id:path}", "model"),
        ("/keys/{id}", "key"),
        ("/keys/{id}/rotate", "rotate"),
        ("/keys/self", "own"),
        ("/budgets/{kind}/{id}", "budget"),
    ]
)


def find(path):
    return ROUTER.find(unquote(path), path.encode())


@pytest.mark.parametrize(
    ("path", "value", "parameters"),
    [
        ("/models", "list", {}),
        ("/models/a", "model", {"id": "a"}),
        ("/models/a/b%2Fc/", "model", {"id": "a/b/c/"}),
        ("/keys/self", "own", {}),
        ("/keys/a%2Fb", "key", {"id": "a/b"}),
        ("/keys/a%252Fb", "key", {"id": "a%2Fb"}),
        ("/keys/a/rotate", "rotate", {"id": "a"}),
        ("/k%65ys/a/rot%61te", "rotate", {"id": "a"}),
        ("/k%65ys/self", "own", {}),
        ("/budgets/team/x%20y", "budget", {"kind": "team", "id": "x y"}),
    ],
)
def test_what_is_found(path, value, parameters):
    assert find(path) == (value, parameters)


@pytest.mark.parametrize(
    "path",
    ["/", "", "/models/", "/keys", "/keys/", "/keys//rotate", "/keys/a/b", "/keys/a/rotate/", "*"],
)
def test_what_is_not(path):
    with pytest.raises(NotFoundError, match="No such path"):
        find(path)


@given(st.text(min_size=1))
def test_any_text_fits_a_segment_once_it_is_encoded(text):
    raw = "/keys/" + quote(text, safe="")
    assert ROUTER.find("/keys/" + text, raw.encode())[1] in ({"id": text}, {})


def test_no_template_is_there_twice():
    with pytest.raises(ValueError, match="two routes"):
        Router([("/a/{id}", 1), ("/a/{id}", 2)])
    with pytest.raises(ValueError, match="two routes"):
        Router([("/a", 1), ("/a", 2)])


def test_another_method_is_told_which_there_are():
    error = method_not_allowed("/a" * 500, ("GET", "PUT"))
    assert error.allow == "GET, PUT"
    assert "only GET, PUT is served here" in error.message
    assert len(error.message) < 300
