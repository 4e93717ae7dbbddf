"""Streams, predicted and called tools, structured output."""

from llama_index.core.tools import FunctionTool
from pydantic import BaseModel


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


class City(BaseModel):
    """A city."""

    name: str


def text(made):
    assert "Hello" in str(made.llm.complete("Hello"))


def stream(made):
    told = [piece.delta for piece in made.llm.stream_complete("Hello again")]
    assert len(told) > 1
    assert "Hello again" in "".join(told)


def tools(made):
    tool = FunctionTool.from_defaults(get_weather)
    answer = made.llm.predict_and_call([tool], "The weather?")
    assert "sunny in Oslo" in str(answer)


def advanced(made):
    answer = made.llm.as_structured_llm(City).complete("The capital of Norway")
    assert isinstance(answer.raw, City)
