"""Streams, the SDK's own tool runner, structured output."""

from anthropic import beta_tool
from pydantic import BaseModel

MODEL = "claude-haiku-4-5"


def hello(text):
    return {"model": MODEL, "max_tokens": 1024, "messages": [{"role": "user", "content": text}]}


def text(made):
    assert "Hello" in made.message.content[0].text


def stream(made):
    with made.client.messages.stream(**hello("Hello again")) as stream:
        told = list(stream.text_stream)
    assert len(told) > 1
    assert "Hello again" in "".join(told)


def tools(made):
    @beta_tool
    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "sunny"

    asked = []
    runner = made.client.beta.messages.tool_runner(tools=[get_weather], **hello("The weather?"))
    assert runner.until_done().content[0].text == "It is sunny in Oslo."
    assert asked == ["Oslo"]


class City(BaseModel):
    name: str


def advanced(made):
    parsed = made.client.messages.parse(output_format=City, **hello("The capital of Norway"))
    assert isinstance(parsed.parsed_output, City)
