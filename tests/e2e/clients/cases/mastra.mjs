// Streams, an agent's tools, structured output.

import assert from "node:assert/strict";
import { Agent } from "@mastra/core/agent";
import { createTool } from "@mastra/core/tools";
import { z } from "zod";

export async function text({ agent }) {
  assert.match((await agent.generate("Hello")).text, /Hello/);
}

export async function stream({ agent }) {
  const told = [];
  for await (const piece of (await agent.stream("Hello again")).textStream) told.push(piece);
  assert.ok(told.length > 1);
  assert.match(told.join(""), /Hello again/);
}

export async function tools({ anthropic }) {
  const asked = [];
  const weather = createTool({
    id: "get_weather",
    description: "The weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => (asked.push(city), { sky: "sunny" }),
  });
  const agent = new Agent({
    id: "sky",
    name: "Sky",
    instructions: "You know the weather.",
    model: anthropic("claude-haiku-4-5"),
    tools: { get_weather: weather },
  });
  assert.equal((await agent.generate("The weather?")).text, "It is sunny in Oslo.");
  assert.deepEqual(asked, ["Oslo"]);
}

export async function advanced({ agent }) {
  const schema = z.object({ name: z.string() });
  const { object } = await agent.generate("The capital of Norway", { structuredOutput: { schema } });
  assert.equal(typeof object.name, "string");
}
