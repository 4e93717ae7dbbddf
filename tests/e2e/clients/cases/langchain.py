"""Streams, a loop of bound tools, structured output."""

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


class City(BaseModel):
    """A city."""

    name: str


def text(made):
    assert "Hello" in made.model.invoke("Hello").text


def stream(made):
    told = [chunk.text for chunk in made.model.stream("Hello again")]
    assert len([piece for piece in told if piece]) > 1
    assert "Hello again" in "".join(told)


def tools(made):
    model = made.model.bind_tools([get_weather])
    messages = [HumanMessage("The weather?")]
    messages.append(model.invoke(messages))
    (call,) = messages[-1].tool_calls
    messages.append(get_weather.invoke(call))
    assert model.invoke(messages).text == "It is sunny in Oslo."


def advanced(made):
    for method in ("function_calling", "json_schema"):
        model = made.model.with_structured_output(City, method=method)
        assert isinstance(model.invoke("The capital of Norway"), City)
