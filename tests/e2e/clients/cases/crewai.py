"""Streams, a crew's tools, structured output."""

from crewai import Agent
from crewai.tools import tool
from pydantic import BaseModel


@tool("get_weather")
def get_weather(city: str) -> str:
    """The weather of a city."""
    asked.append(city)
    return f"sunny in {city}"


asked = []


class City(BaseModel):
    name: str


def agent(made, **more):
    words = {"role": "Assistant", "goal": "Answer", "backstory": "You answer briefly."}
    return Agent(llm=made.llm, **words, **more)


def text(made):
    assert "Hello" in agent(made).kickoff("Hello").raw


def stream(made):
    llm = made.LLM(
        model="anthropic/claude-haiku-4-5",
        base_url=made.llm.base_url,
        api_key=made.llm.api_key,
        stream=True,
    )
    assert "Hello again" in llm.call("Hello again")


def tools(made):
    answer = agent(made, tools=[get_weather]).kickoff("The weather?")
    assert (answer.raw, asked) == ("It is sunny in Oslo.", ["Oslo"])


def advanced(made):
    answer = made.llm.call("The capital of Norway", response_model=City)
    assert isinstance(answer, City) or City.model_validate_json(answer)
