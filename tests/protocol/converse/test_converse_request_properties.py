"""Any request becomes a body that Bedrock takes, or is refused with the path of what is wrong."""

from __future__ import annotations

import re
from base64 import b64encode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_converse_request_models import MODELS, convert

from anthropic_bedrock_proxy.errors import InvalidRequestError
from anthropic_bedrock_proxy.protocol.adapt.limits import PREFILL
from anthropic_bedrock_proxy.protocol.request.policy import Guardrail, Policy

PATH = re.compile(
    r"(messages|system|tools|tool_choice|thinking|output_config|temperature|top_p|top_k|metadata"
    r"|stop_sequences|max_tokens|model|stream|strange|cache_control)(\.[^\n]*)?: ",
)
# Anthropic's own sentences have none.
WITHOUT_PATH = (PREFILL, "A maximum of 4 blocks with cache_control may be provided.")
# "This model doesn't support tool use in streaming mode."
NO_STREAMED_TOOLS = {"llama-3-3", "mistral-large", "titan"}

words = st.text(max_size=8) | st.sampled_from(
    ["", " ", "\n", "hello", "x-anthropic-billing-header"]
)
names = st.sampled_from(["a", "b.c", "d" * 65, "", "é", "bash"]) | st.text(max_size=4)
ids = st.sampled_from(["toolu_1", "toolu_2", "call|3"])
data = st.binary(min_size=1, max_size=6).map(lambda given_: b64encode(given_).decode())
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-2, 2) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(words, json_values, max_size=3)
controls = st.sampled_from([None, {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}])
citing = st.sampled_from([None, {"enabled": True}, {"enabled": False}])


def block(kind, required, **optional):
    """A block, its required keys and some of the others."""
    return st.fixed_dictionaries({"type": st.just(kind), **required}, optional=optional)


citations = st.lists(
    st.builds(
        lambda kind, index: {
            "type": kind,
            "cited_text": "q",
            "document_index": index,
            "search_result_index": index,
            "start_char_index": 0,
            "end_char_index": 1,
            "start_page_number": 1,
            "end_page_number": 2,
            "start_block_index": 0,
            "end_block_index": 1,
        },
        st.sampled_from(["char_location", "page_location", "search_result_location", "other"]),
        st.integers(-1, 2),
    ),
    max_size=2,
)
texts = block("text", {"text": words}, cache_control=controls, citations=citations)
base64_source = block(
    "base64", {"media_type": st.sampled_from(["image/png", "image/jpg"]), "data": data}
)
images = block("image", {"source": base64_source}, cache_control=controls)
documents = block(
    "document",
    {
        "source": st.one_of(
            block(
                "base64",
                {"media_type": st.sampled_from(["application/pdf", "text/csv"]), "data": data},
            ),
            block("text", {"data": words}),
            block("content", {"content": words | st.lists(texts, max_size=2)}),
            block("url", {"url": words}),
        )
    },
    title=names,
    context=words,
    citations=citing,
    cache_control=controls,
)
search_results = block(
    "search_result",
    {"source": words, "title": words, "content": st.lists(texts, max_size=2)},
    citations=citing,
    cache_control=controls,
)
results = block(
    "tool_result",
    {"tool_use_id": ids},
    content=words | st.lists(texts | images | documents | search_results, max_size=3),
    is_error=st.booleans(),
    cache_control=controls,
)
calls = block(
    "tool_use",
    {"id": ids, "name": names, "input": objects},
    caller=st.just({"type": "direct"}),
    cache_control=controls,
)
thoughts = block("thinking", {"thinking": words, "signature": st.just("c2ln")}) | block(
    "redacted_thinking", {"data": data}
)
user = st.lists(texts | images | documents | search_results, max_size=3)
assistant = st.lists(texts | thoughts | texts, max_size=3)


@st.composite
def conversations(draw):
    """Turns in any order of roles, most of them with every call answered."""
    messages = [{"role": "user", "content": draw(words | user)}]
    for _ in range(draw(st.integers(0, 4))):
        asked = draw(st.lists(calls, max_size=2, unique_by=lambda call: call["id"]))
        messages.append({"role": "assistant", "content": draw(assistant) + asked})
        given_ = draw(user)
        for call in asked:
            given_.insert(
                draw(st.integers(0, len(given_))), {**draw(results), "tool_use_id": call["id"]}
            )
        messages.append({"role": "user", "content": given_})
    if draw(st.booleans()):
        messages.append(
            {"role": draw(st.sampled_from(["user", "assistant"])), "content": draw(words)}
        )
    return messages


tools = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "name": names,
                "input_schema": st.fixed_dictionaries(
                    {}, optional={"type": st.just("object"), "properties": objects}
                ),
            },
            optional={
                "description": words,
                "strict": st.booleans(),
                "input_examples": st.lists(objects, max_size=2),
                "cache_control": controls,
                "type": st.just("custom"),
            },
        ),
        st.sampled_from(
            [
                {"type": "bash_20250124", "name": "bash"},
                {"type": "memory_20250818", "name": "memory"},
            ]
        ),
    ),
    max_size=3,
    unique_by=lambda tool: tool["name"],
)
requests = st.fixed_dictionaries(
    {"messages": conversations()},
    optional={
        "system": words | st.lists(texts, max_size=2),
        "tools": tools,
        "tool_choice": st.fixed_dictionaries(
            {"type": st.sampled_from(["auto", "any", "tool", "none"])},
            optional={"name": names, "disable_parallel_tool_use": st.booleans()},
        ),
        "top_k": st.integers(0, 50),
        "stop_sequences": st.lists(words, max_size=2),
        "metadata": st.fixed_dictionaries({}, optional={"user_id": words}),
        "output_config": st.fixed_dictionaries(
            {},
            optional={
                "effort": st.sampled_from(["low", "high"]),
                "format": st.just({"type": "json_schema", "schema": {"type": "object"}}),
            },
        ),
        "service_tier": st.just("auto"),
        "strange": json_values,
    },
)
settings_of_keys = st.builds(
    Policy,
    cache=st.booleans(),
    cache_ttl=st.sampled_from([None, "5m"]),
    service_tier=st.sampled_from(["default", "priority"]),
    guardrail=st.sampled_from([None, Guardrail(identifier="g")]),
    request_metadata=st.booleans(),
)


def convert_or_refuse(model, request, **options):
    """The body, judged by botocore and the simulator; None if it was refused as it should be."""
    try:
        return msgspec.json.decode(convert(model, request, **options).body)
    except InvalidRequestError as error:
        message = error.message
        assert PATH.match(message) or message.startswith(WITHOUT_PATH), message
        return None


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=10)
@given(request_=requests, policy=settings_of_keys, stream=st.booleans())
def test_a_well_formed_request_becomes_a_valid_body(model, request_, policy, stream):
    # The older Claude models know no tier but their own.
    if model.startswith("claude-3"):
        policy = msgspec.structs.replace(policy, service_tier="default")
    stream = stream and model not in NO_STREAMED_TOOLS
    body = convert_or_refuse(model, request_, policy=policy, stream=stream)
    if body is not None:
        assert body["messages"][0]["role"] == "user"


@given(st.data())
def test_junk_inside_is_refused_with_its_path(data_):
    """One piece of a well-formed request is replaced by anything."""
    request = msgspec.json.decode(msgspec.json.encode(data_.draw(requests)))
    places = list(_places(request))
    holder, key = data_.draw(st.sampled_from(places))
    holder[key] = data_.draw(json_values)
    convert_or_refuse(
        data_.draw(st.sampled_from(["claude-haiku-4-5", "nova-lite", "other"])),
        request,
        judge=False,
    )


def _places(tree):
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in pairs:
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)
