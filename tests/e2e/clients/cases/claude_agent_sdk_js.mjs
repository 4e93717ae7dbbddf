// Partial messages, a tool of an in-process MCP server, structured output.

import assert from "node:assert/strict";
import { createSdkMcpServer, query, tool } from "@anthropic-ai/claude-agent-sdk";
import { z } from "zod";

async function ask(prompt, options) {
  const messages = [];
  for await (const message of query({ prompt, options })) messages.push(message);
  return messages;
}

export async function text({ options }) {
  const result = (await ask("Hello", options)).at(-1);
  assert.equal(result.subtype, "success");
  assert.match(result.result, /Hello/);
}

export async function stream({ options }) {
  const messages = await ask("Hello again", { ...options, includePartialMessages: true });
  assert.ok(messages.filter(({ type }) => type === "stream_event").length > 5);
}

export async function tools({ options }) {
  const asked = [];
  const weather = tool("get_weather", "The weather of a city.", { city: z.string() }, (given) => {
    asked.push(given.city);
    return { content: [{ type: "text", text: "sunny" }] };
  });
  const more = {
    mcpServers: { sky: createSdkMcpServer({ name: "sky", tools: [weather] }) },
    allowedTools: ["mcp__sky__get_weather"],
  };
  const result = (await ask("The weather?", { ...options, ...more })).at(-1);
  assert.deepEqual([result.result, asked], ["It is sunny in Oslo.", ["Oslo"]]);
}
