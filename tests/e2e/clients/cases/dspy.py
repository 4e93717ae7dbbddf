"""A program of typed fields by JSON, and its stream."""

import dspy


def text(made):
    assert "Hello" in made.lm("Hello once more")[0]


def advanced(made):
    """The adapter for JSON asks for structured output."""
    with dspy.context(lm=made.lm, adapter=dspy.JSONAdapter()):
        answer = dspy.Predict("country -> capital: str")(country="Norway")
    assert isinstance(answer.capital, str)
