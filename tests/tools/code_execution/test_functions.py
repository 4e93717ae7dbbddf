"""Tools of the client as Python functions: their names, and which cannot be."""

from __future__ import annotations

import keyword
from itertools import islice, product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.protocol.raw import decode_raws
from anthropic_bedrock_proxy.protocol.request.messages import decode_tools
from anthropic_bedrock_proxy.tools.calls import RequestTools
from anthropic_bedrock_proxy.tools.code_execution.definitions import definition
from anthropic_bedrock_proxy.tools.code_execution.functions import read_functions

CODE = "code_execution_20260120"


def tool(name="f", schema=None, callers=(CODE,), **more):
    schema = {"type": "object"} if schema is None else schema
    return {"name": name, "input_schema": schema, "allowed_callers": list(callers), **more}


def read(*tools):
    raw = msgspec.json.encode(tools)
    return read_functions(RequestTools(decode_tools(raw), decode_raws(raw)))


def names(*tools):
    return [function.name for function in read(*map(tool, tools))]


def test_names_become_pythons_and_stay_apart():
    assert names("get_weather", "get-weather", "get.weather") == [
        *("get_weather", "get_weather_", "get_weather__")
    ]
    assert names("class", "match", "print", "asyncio", "2fast", "été") == [
        *("class_", "match_", "print_", "asyncio_", "_2fast", "_t_")
    ]
    assert names("__builtins__", "__import__", "__name__") == [
        *("__builtins___", "__import___", "__name___")  # no code would run without them
    ]


def test_names_that_are_alike_are_numbered_in_the_end():
    assert names("a-b", "a_b_4", "a.b", "a b", "a+b", "a/b") == [
        *("a_b", "a_b_4", "a_b_", "a_b__", "a_b_5", "a_b_6")
    ]


def test_thousands_of_names_that_are_alike_stay_short_and_apart():
    alike = ["".join(signs) for signs in islice(product("-_", repeat=13), 5000)]
    made = names(*alike)
    assert len(set(made)) == len(alike)
    assert max(map(len, made)) <= 13 + len("_5002")


@given(st.lists(st.text(), max_size=6))
def test_every_name_is_an_identifier_of_its_own(tools):
    made = names(*tools)
    assert len(set(made)) == len(tools)
    assert all(name.isidentifier() and name.isascii() for name in made)
    assert not set(made) & {*keyword.kwlist, "print", "open"}


def test_only_what_code_may_call_is_a_function():
    functions = read(
        tool("a", callers=[]),
        tool("b", callers=["direct"]),
        tool("c", callers=["direct", "code_execution_20260521"], description="See"),
        {"name": "d", "input_schema": {}},
        tool("e", callers=["code_execution_20250825"], type="custom"),
        tool("f", type="bash_20250124", callers=["direct", CODE]),
        tool("g", callers=["code_execution_20250522"]),
    )
    assert [(each.tool, each.index, each.direct) for each in functions] == [
        ("c", 2, True),
        ("e", 4, False),
    ]
    assert functions[0].description == "See"


NODE = {"$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}}}
TWO = {
    "properties": {"x": {"anyOf": [{"$ref": "#/definitions/a"}]}},
    "definitions": {
        "a": {"items": {"$ref": "#/definitions/b"}},
        "b": {"not": {"$ref": "#/definitions/a"}},
    },
}


@pytest.mark.parametrize(
    "schema",
    [
        {**NODE, "$ref": "#/$defs/node"},
        {**NODE, "properties": {"list": {"type": "array", "items": [{"$ref": "#/$defs/node"}]}}},
        TWO,
        {"properties": {"me": {"$ref": "#"}}},
        {"a/b": {"$ref": "#/a~1b"}},
    ],
)
def test_a_schema_that_contains_itself_is_refused(schema):
    with pytest.raises(InvalidRequestError, match=r"^tools\.1\.input_schema: Circular \$ref detec"):
        read({"name": "plain", "input_schema": schema}, tool(schema=schema))


@pytest.mark.parametrize(
    "schema",
    [
        {
            "properties": {"a": {"$ref": "#/$defs/x"}, "b": {"$ref": "#/$defs/x"}},
            "$defs": {"x": {}},
        },
        {"$ref": "#/nowhere/at/all"},
        {"$ref": "https://example.com/schema"},
        {"$ref": 5},
        NODE,  # nothing refers to it
        [],
        "odd",
    ],
)
def test_any_other_schema_will_do(schema):
    [function] = read(tool(schema=schema))
    assert function.schema == schema


def test_a_schema_may_not_refer_on_and_on():
    chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(5000)}
    with pytest.raises(InvalidRequestError, match=r"input_schema: \$ref goes on too deeply"):
        read(tool(schema={"$ref": "#/$defs/d0", "$defs": chain}))


def test_a_large_part_is_not_looked_at_for_each_way_to_spell_it():
    # A few hundred kilobytes of this kept a worker busy for a quarter of a minute.
    spelled = [{"$ref": f"#{'/' * n}$defs/x"} for n in range(1, 100)]
    schema = {"anyOf": spelled, "$defs": {"x": {"enum": [[]] * 10_000}}}
    with pytest.raises(InvalidRequestError, match=r"^tools\.0\.input_schema: .* too many parts"):
        read(tool(schema=schema))


def test_the_parts_of_all_schemas_are_counted_together():
    schema = {"$ref": "#/$defs/x", "$defs": {"x": {"enum": [[]] * 3_000}}}
    assert len(read(*[tool(f"f{n}", schema) for n in range(60)])) == 60
    with pytest.raises(InvalidRequestError, match="too many parts"):
        read(*[tool(f"f{n}", schema) for n in range(70)])


def test_a_large_schema_without_references_will_do():
    assert len(read(tool(schema={"enum": [[]] * 300_000}))) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"strict": True}, "tools.0.strict: not supported for tools that code calls"),
        (
            {"type": "bash_20250124"},
            'tools.0.allowed_callers: code cannot call a bash_20250124 tool; add "direct"',
        ),
    ],
)
def test_what_code_cannot_call(more, message):
    with pytest.raises(InvalidRequestError) as refused:
        read(tool(**more))
    assert refused.value.message == message


def test_the_model_is_told_the_signature_of_each_function():
    schema = {"type": "object", "properties": {"sql": {"type": "string"}}}
    made = definition(
        "code_execution",
        read(tool("run-query", schema, description="Asks\nit")),
        {"code_execution": 60.0},
    )
    assert "async def run_query(arguments: dict) -> str\n    Asks it\n" in made["description"]
    assert '{"type":"object","properties":{"sql":{"type":"string"}}}' in made["description"]
    assert "60 seconds, without the time that tools take." in made["description"]
    alone = definition("code_execution", [], {"code_execution": 2.5})["description"]
    assert alone.endswith(" A call may take 2.5 seconds.")
    assert "async def" not in alone
