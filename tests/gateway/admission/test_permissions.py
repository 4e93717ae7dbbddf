from __future__ import annotations

import json

import pytest

from anthropic_bedrock_proxy.app.models import load_model_table
from anthropic_bedrock_proxy.errors import InvalidRequestError, PermissionDeniedError
from anthropic_bedrock_proxy.gateway.admission.permissions import (
    check_model,
    check_network,
    check_request,
    client_address,
)
from anthropic_bedrock_proxy.models.registry import Registry, RoutingOptions
from anthropic_bedrock_proxy.protocol.request.messages import parse_request
from anthropic_bedrock_proxy.store.base.callers import KeyRecord

REGISTRY = Registry(load_model_table(), RoutingOptions(region="us-east-1"))


def a_key(**fields):
    return KeyRecord(id="key_1", name="n", secret_hint="", created_at=0, updated_at=0, **fields)


def ask(key, model="claude-sonnet-4-5", tools=()):
    body = {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}
    request = parse_request(json.dumps(body | {"tools": list(tools)}).encode(), "2023-06-01")
    check_request(key, request, REGISTRY.route(model))


@pytest.mark.parametrize(
    ("pattern", "model", "allowed"),
    [
        ("claude-*", "claude-sonnet-4-5", True),
        ("claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5", True),
        ("claude-haiku-*", "claude-sonnet-4-5", False),
        ("claude-*", "amazon.nova-lite-v1:0", False),
        ("*", "amazon.nova-lite-v1:0", True),
    ],
)
def test_models(pattern, model, allowed):
    key = a_key(allowed_models=("nothing", pattern))
    if allowed:
        ask(key, model)
        return
    with pytest.raises(InvalidRequestError, match=r"model: this key may not use .*nothing") as no:
        ask(key, model)
    assert no.value.error_code == "model_not_allowed"
    assert no.value.should_retry is False


@pytest.mark.parametrize(
    ("tool", "allowed"),
    [
        ({"name": "get_weather", "input_schema": {"type": "object"}}, True),
        ({"type": "custom", "name": "get_time", "input_schema": {"type": "object"}}, True),
        ({"type": "bash_20250124", "name": "bash"}, True),
        ({"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"}, False),
        ({"name": "delete_all", "input_schema": {"type": "object"}}, False),
    ],
)
def test_tools(tool, allowed):
    key = a_key(allowed_tools=("get_*", "bash_*"))
    tools = [{"name": "get_x", "input_schema": {"type": "object"}}, tool]
    if allowed:
        ask(key, tools=tools)
        return
    with pytest.raises(PermissionDeniedError, match=r"tools\.1: this key may not use") as no:
        ask(key, tools=tools)
    assert no.value.error_code == "tool_not_allowed"


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("", False),
        ("localhost", False),
    ],
)
def test_networks(address, allowed):
    key = a_key(allowed_networks=("10.0.0.0/8", "2001:db8::/32"))
    if allowed:
        check_network(key, address)
    else:
        with pytest.raises(PermissionDeniedError, match="network address"):
            check_network(key, address)


def test_a_key_without_networks_is_used_from_anywhere():
    check_network(a_key(), "")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        (
            "203.0.113.9",
            ["198.51.100.1"],
            "203.0.113.9",
        ),  # not one of ours
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),  # the client wrote the first
        ("10.0.0.1", ["198.51.100.1", "10.0.0.2"], "198.51.100.1"),  # two of ours
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [" , "], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.7:51324"], "203.0.113.7"),  # as Azure writes it
        ("10.0.0.1", ["203.0.113.7:51324, 10.0.0.2:80"], "203.0.113.7"),
        ("10.0.0.1", ["[2001:db8::1]:443"], "2001:db8::1"),
        ("10.0.0.1", ['"[2001:db8::1]"'], "2001:db8::1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.1", ["fe80::1%eth0"], "fe80::1%eth0"),
        ("10.0.0.1", ["unknown"], "unknown"),  # RFC 7239 6.2
        ("10.0.0.1", ["198.51.100.1, _hidden:80"], "_hidden"),  # nobody vouches for the first
        ("10.0.0.1", ["a:b"], "a:b"),
    ],
)
def test_forwarded_addresses_are_believed_from_trusted_peers_only(peer, forwarded, expected):
    assert client_address(peer, forwarded, ("10.0.0.0/8",)) == expected
    assert client_address(peer, forwarded, ()) == peer


def test_the_peer_of_a_unix_socket_is_trusted_where_any_is_and_alone_has_no_network():
    assert client_address("", ["203.0.113.7"], ("10.0.0.0/8",)) == "203.0.113.7"
    assert client_address("", ["203.0.113.7, 10.1.1.1"], ("10.0.0.0/8",)) == "203.0.113.7"
    assert client_address("", ["203.0.113.7"], ()) == ""
    with pytest.raises(PermissionDeniedError):
        check_network(a_key(allowed_networks=("0.0.0.0/0", "::/0")), "")


DELETE = {"name": "delete_all", "input_schema": {"type": "object"}}


def an_addition(definition):
    return {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": definition}}


@pytest.mark.parametrize(
    "block",
    [
        an_addition(DELETE),
        {"type": "compaction", "content": "so far", "tool_changes": [an_addition(DELETE)]},
        an_addition({"type": "bash_20250124", "name": "bash"}),
    ],
)
def test_tools_that_come_with_messages(block):
    key = a_key(allowed_tools=("get_*",))
    allowed = {"name": "get_x", "input_schema": {"type": "object"}}
    messages = [
        {"role": "user", "content": "x"},
        {"role": "system", "content": [an_addition(allowed), {"type": "text", "text": "x"}, block]},
    ]
    body = {"model": "claude-opus-4-8", "max_tokens": 1, "messages": messages}
    request = parse_request(json.dumps(body).encode(), "2023-06-01")
    with pytest.raises(PermissionDeniedError, match=r"messages\.1\.content\.2: this key may not"):
        check_request(key, request, REGISTRY.route("claude-opus-4-8"))
    messages[1]["content"].pop()
    request = parse_request(json.dumps(body).encode(), "2023-06-01")
    check_request(key, request, REGISTRY.route("claude-opus-4-8"))


def test_a_wrapped_tool_is_what_is_in_the_wrapper():
    key = a_key(allowed_tools=("get_*",))
    with pytest.raises(PermissionDeniedError, match="delete_all"):
        ask(key, tools=[{"type": "custom", "name": "get_x", "custom": DELETE}])
    ask(key, tools=[{"type": "custom", "custom": {"name": "get_x", "input_schema": {}}}])
    with pytest.raises(PermissionDeniedError, match="a tool without a name"):
        ask(key, tools=[{"input_schema": {"type": "object"}}])


@pytest.mark.parametrize(
    ("field", "path"),
    [
        (b'"tools":[{"name":"get_x","custom":{"name":"get_x","x":%b}}]', r"tools\.0\.custom"),
        (
            b'"messages":[{"role":"system","content":[{"type":"tool_addition","x":%b}]}]',
            r"messages\.0",
        ),
    ],
)
def test_a_number_without_end_is_refused_with_its_path(field, path):
    """Python reads no number of 5000 digits: the answer was 500."""
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],%b}'
    request = parse_request(body % (field % (b"9" * 5000)), "2023-06-01")
    with pytest.raises(InvalidRequestError, match=f"^{path}: "):
        check_request(a_key(allowed_tools=("get_*",)), request, REGISTRY.route("claude-opus-4-8"))


def test_an_opaque_profile_may_turn_out_to_be_any_model_that_there_is():
    route = REGISTRY.route("arn:aws:bedrock:us-east-1:1:application-inference-profile/a")
    request = parse_request(
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}', "2023-06-01"
    )
    for pattern in ("claude-haiku-*", "meta.*", "arn:*"):
        check_request(a_key(allowed_models=(pattern,)), request, route)
    with pytest.raises(InvalidRequestError):
        check_request(a_key(allowed_models=("gpt-*",)), request, route)
    with pytest.raises(InvalidRequestError):
        check_model(a_key(allowed_models=("claude-haiku-*",)), route)
    check_model(a_key(allowed_models=("arn:*",)), route)
    check_model(a_key(), route)


def test_a_stored_network_that_is_none_lets_nobody_in():
    key = a_key(allowed_networks=("10.0.0.0/33", "not a network", "11.0.0.0/8"))
    with pytest.raises(PermissionDeniedError, match="network address"):
        check_network(key, "10.1.2.3")
    check_network(key, "11.1.2.3")


def test_a_peer_that_forwards_no_addresses_is_not_believed():
    forwarded = ["203.0.113.7, " + "x" * 60_000]
    assert client_address("10.0.0.1", forwarded, ("10.0.0.0/8",)) == "10.0.0.1"
