// Streams, a loop of bound tools, structured output.

import assert from "node:assert/strict";
import { HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { z } from "zod";

const weather = tool(async ({ city }) => `sunny in ${city}`, {
  name: "get_weather",
  description: "The weather of a city.",
  schema: z.object({ city: z.string() }),
});

export async function text({ model }) {
  assert.match((await model.invoke("Hello")).text, /Hello/);
}

export async function stream({ model }) {
  const told = [];
  for await (const chunk of await model.stream("Hello again")) if (chunk.text) told.push(chunk.text);
  assert.ok(told.length > 1);
  assert.match(told.join(""), /Hello again/);
}

export async function tools({ model }) {
  const bound = model.bindTools([weather]);
  const messages = [new HumanMessage("The weather?")];
  const call = await bound.invoke(messages);
  assert.equal(call.tool_calls.length, 1);
  messages.push(call, await weather.invoke(call.tool_calls[0]));
  assert.equal((await bound.invoke(messages)).text, "It is sunny in Oslo.");
}

export async function advanced({ model }) {
  for (const method of ["functionCalling", "jsonSchema"]) {
    const structured = model.withStructuredOutput(z.object({ name: z.string() }), {
      name: "city",
      method,
    });
    assert.equal(typeof (await structured.invoke("The capital of Norway")).name, "string");
  }
}
