// Streams, the SDK's own tool runner, structured output.

import assert from "node:assert/strict";
import { betaTool } from "@anthropic-ai/sdk/helpers/beta/json-schema";

const hello = (content) => ({
  model: "claude-haiku-4-5",
  max_tokens: 1024,
  messages: [{ role: "user", content }],
});

export async function text({ client }) {
  const message = await client.messages.create(hello("Hello"));
  assert.match(message.content[0].text, /Hello/);
}

export async function stream({ client }) {
  const told = [];
  await client.messages
    .stream(hello("Hello again"))
    .on("text", (piece) => told.push(piece))
    .finalMessage();
  assert.ok(told.length > 1);
  assert.match(told.join(""), /Hello again/);
}

export async function tools({ client }) {
  const asked = [];
  const weather = betaTool({
    name: "get_weather",
    description: "The weather of a city.",
    inputSchema: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
    },
    run: ({ city }) => (asked.push(city), "sunny"),
  });
  const message = await client.beta.messages.toolRunner({
    ...hello("The weather?"),
    tools: [weather],
  });
  assert.equal(message.content[0].text, "It is sunny in Oslo.");
  assert.deepEqual(asked, ["Oslo"]);
}

export async function advanced({ client }) {
  const schema = {
    type: "object",
    properties: { name: { type: "string" } },
    required: ["name"],
    additionalProperties: false,
  };
  const message = await client.messages.create({
    ...hello("The capital of Norway"),
    output_config: { format: { type: "json_schema", schema } },
  });
  assert.equal(typeof JSON.parse(message.content[0].text).name, "string");
}
