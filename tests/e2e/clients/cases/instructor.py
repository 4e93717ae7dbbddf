"""Structured output by forced tools: whole, streamed, with the message beside."""

HELLO = {
    "model": "claude-haiku-4-5",
    "max_tokens": 1024,
    "messages": [{"role": "user", "content": "The capital of Norway"}],
}


def stream(made):
    told = list(made.client.messages.create_partial(response_model=made.City, **HELLO))
    assert isinstance(told[-1].name, str)


def tools(made):
    assert isinstance(made.city, made.City)


def advanced(made):
    create = made.client.messages.create_with_completion
    city, message = create(response_model=made.City, **HELLO)
    assert isinstance(city, made.City)
    assert message.content[0].input == {"name": city.name}
