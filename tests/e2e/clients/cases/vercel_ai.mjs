// Streams, a loop of tools, structured output.

import assert from "node:assert/strict";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

export async function text({ model }) {
  assert.match((await generateText({ model, prompt: "Hello" })).text, /Hello/);
}

export async function stream({ model }) {
  const told = [];
  for await (const piece of streamText({ model, prompt: "Hello again" }).textStream) told.push(piece);
  assert.ok(told.length > 1);
  assert.match(told.join(""), /Hello again/);
}

export async function tools({ model }) {
  const asked = [];
  const weather = tool({
    description: "The weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => (asked.push(city), "sunny"),
  });
  const { text } = await generateText({
    model,
    prompt: "The weather?",
    tools: { get_weather: weather },
    stopWhen: stepCountIs(3),
  });
  assert.equal(text, "It is sunny in Oslo.");
  assert.deepEqual(asked, ["Oslo"]);
}

export async function advanced({ model }) {
  const { output } = await generateText({
    model,
    prompt: "The capital of Norway",
    output: Output.object({ schema: z.object({ name: z.string() }) }),
  });
  assert.equal(typeof output.name, "string");
}
