"""Partial messages, a tool of an in-process MCP server, structured output."""

import dataclasses

from claude_agent_sdk import (
    ClaudeSDKClient,
    ResultMessage,
    StreamEvent,
    create_sdk_mcp_server,
    query,
    tool,
)

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}


async def ask(prompt, options):
    return [message async for message in query(prompt=prompt, options=options)]


async def text(made):
    result = (await ask("Hello", made.options))[-1]
    assert isinstance(result, ResultMessage)
    assert not result.is_error
    assert "Hello" in result.result


async def stream(made):
    options = dataclasses.replace(made.options, include_partial_messages=True)
    messages = await ask("Hello again", options)
    assert len([one for one in messages if isinstance(one, StreamEvent)]) > 5


async def tools(made):
    @tool("get_weather", "The weather of a city.", {"city": str})
    async def get_weather(arguments):
        asked.append(arguments["city"])
        return {"content": [{"type": "text", "text": "sunny"}]}

    asked = []
    options = dataclasses.replace(
        made.options,
        mcp_servers={"sky": create_sdk_mcp_server("sky", tools=[get_weather])},
        allowed_tools=["mcp__sky__get_weather"],
    )
    async with ClaudeSDKClient(options) as client:
        await client.query("The weather?")
        result = [message async for message in client.receive_response()][-1]
    assert (result.result, asked) == ("It is sunny in Oslo.", ["Oslo"])
