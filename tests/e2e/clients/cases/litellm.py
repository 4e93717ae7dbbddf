"""Streams, a loop of tools, structured output."""

import json

import litellm
from pydantic import BaseModel

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class City(BaseModel):
    name: str


def asked(made, messages, **more):
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    model = "anthropic/claude-haiku-4-5"
    return litellm.completion(model=model, messages=messages, **made.connection, **more)


def text(made):
    assert "Hello" in made.answer.choices[0].message.content


def stream(made):
    told = [
        chunk.choices[0].delta.content or "" for chunk in asked(made, "Hello again", stream=True)
    ]
    assert len(told) > 1
    assert "Hello again" in "".join(told)


def tools(made):
    messages = [{"role": "user", "content": "The weather?"}]
    message = asked(made, messages, tools=[TOOL]).choices[0].message
    (call,) = message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    messages += [
        message.model_dump(),
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"},
    ]
    answer = asked(made, messages, tools=[TOOL])
    assert answer.choices[0].message.content == "It is sunny in Oslo."


def advanced(made):
    answer = asked(made, "The capital of Norway", response_format=City)
    City.model_validate_json(answer.choices[0].message.content)
