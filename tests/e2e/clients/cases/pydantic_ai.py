"""Streams, an agent's tools, structured output."""

from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ToolOutput


class City(BaseModel):
    name: str


def text(made):
    assert "Hello" in Agent(made.model).run_sync("Hello").output


async def stream(made):
    async with Agent(made.model).run_stream("Hello again") as run:
        told = [piece async for piece in run.stream_text(delta=True, debounce_by=None)]
    assert len(told) > 1
    assert "Hello again" in "".join(told)


def tools(made):
    agent = Agent(made.model)
    asked = []

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """The weather of a city."""
        asked.append(city)
        return "sunny"

    assert agent.run_sync("The weather?").output == "It is sunny in Oslo."
    assert asked == ["Oslo"]


def advanced(made):
    for output in (ToolOutput(City), NativeOutput(City)):
        agent = Agent(made.model, output_type=output)
        assert isinstance(agent.run_sync("The capital of Norway").output, City)
