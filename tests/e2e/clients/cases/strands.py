"""Streams, an agent's tools, structured output."""

from pydantic import BaseModel
from strands import Agent, tool


@tool
def get_weather(city: str) -> str:
    """The weather of a city.

    Args:
        city: its name
    """
    return f"sunny in {city}"


class City(BaseModel):
    """A city."""

    name: str


def text(made):
    assert "Hello" in str(Agent(model=made.model, callback_handler=None)("Hello"))


async def stream(made):
    agent = Agent(model=made.model, callback_handler=None)
    told = [event["data"] async for event in agent.stream_async("Hello again") if "data" in event]
    assert len(told) > 1
    assert "Hello again" in "".join(told)


def tools(made):
    agent = Agent(model=made.model, tools=[get_weather], callback_handler=None)
    assert str(agent("The weather?")).strip() == "It is sunny in Oslo."
    assert "sunny in Oslo" in str(agent.messages)


def advanced(made):
    agent = Agent(model=made.model, callback_handler=None)
    answer = agent("The capital of Norway", structured_output_model=City)
    assert isinstance(answer.structured_output, City)
