// @anthropic-ai/sdk with code that calls tools. Run by tests/e2e/test_sandbox_typescript.py, which
// tells the addresses and keys by environment variables.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { control } from "./simulator.mjs";

const { PROXY_URL, PROXY_KEY } = process.env;
const MODELS = ["claude-haiku-4-5", "claude-opus-5-5", "qwen.qwen3-32b-v1:0"];
const CALLER = "code_execution_20260120";
const SANDBOX = { type: CALLER, name: "code_execution" };
const RUN = {
  get_weather: ({ city }) => `rain in ${city}`,
  get_people: ({ city }) => String(city.length),
  double: ({ number }) => String(2 * number),
};
const FUNCTIONS = Object.keys(RUN).map((name) => ({
  name,
  description: `Does ${name}`,
  input_schema: {
    type: "object",
    properties: { city: { type: "string" }, number: { type: "integer" } },
  },
  allowed_callers: [CALLER],
}));
const CASES = {
  sequential: {
    code: `
weather = await get_weather({"city": "Oslo"})
people = int(await get_people({"city": "Oslo"}))
print(weather, people, await double({"number": people}))`,
    printed: "rain in Oslo 4 8\n",
    pauses: [1, 1, 1],
  },
  gathered: {
    code: `
import asyncio
print(*await asyncio.gather(
    get_weather({"city": "Oslo"}), get_people({"city": "Oslo"}), double({"number": 4})))`,
    printed: "rain in Oslo 4 8\n",
    pauses: [3],
  },
  looped: {
    code: `
total = 0
for number in range(25):
    total += int(await double({"number": number}))
print(total)`,
    printed: "600\n",
    pauses: Array(25).fill(1),
  },
};

const client = new Anthropic({ baseURL: PROXY_URL, apiKey: PROXY_KEY, maxRetries: 0 });

const writes = (code) =>
  control("POST", "script", [
    {
      match: { body: '"tool_result"|"toolResult"' },
      times: "forever",
      reply: { content: [{ type: "text", text: "Done." }] },
    },
    {
      times: "forever",
      reply: { content: [{ type: "tool_use", id: "t1", name: "code_execution", input: { code } }] },
    },
  ]);

const calls = (message) => message.content.filter((block) => block.type === "tool_use");

async function converse({ model, stream, sends }) {
  const messages = [{ role: "user", content: "Go ahead." }];
  const steps = [];
  let container;
  while (steps.length < 40) {
    const body = { model, max_tokens: 1000, tools: [SANDBOX, ...FUNCTIONS], messages };
    if (sends && container) body.container = container;
    const message = stream
      ? await client.messages.stream(body).finalMessage()
      : await client.messages.create(body);
    steps.push(message);
    container = message.container.id;
    if (message.stop_reason !== "tool_use") return steps;
    messages.push({ role: "assistant", content: message.content });
    messages.push({
      role: "user",
      content: calls(message).map((call) => ({
        type: "tool_result",
        tool_use_id: call.id,
        content: RUN[call.name](call.input),
      })),
    });
  }
  assert.fail("no end");
}

function assertSteps(steps, { printed, pauses }) {
  const last = steps.at(-1);
  assert.deepEqual(
    steps.slice(0, -1).map((step) => calls(step).length),
    pauses,
  );
  const [call] = steps[0].content;
  assert.equal(call.type, "server_tool_use");
  for (const each of steps.flatMap(calls)) {
    assert.deepEqual(each.caller, { type: CALLER, tool_id: call.id });
  }
  const [result, words] = last.content;
  assert.equal(result.type, "code_execution_tool_result");
  assert.equal(result.tool_use_id, call.id);
  assert.equal(result.content.stdout, printed);
  assert.equal(words.text, "Done.");
  assert.equal(new Set(steps.map((step) => step.container.id)).size, 1);
}

beforeEach(() => control("POST", "reset"));

for (const [name, one] of Object.entries(CASES)) {
  for (const model of MODELS) {
    for (const stream of [false, true]) {
      for (const sends of [false, true]) {
        const how = `${stream ? "streamed" : "whole"}, container ${sends ? "sent" : "kept"}`;
        test(`${name} calls of ${model}, ${how}`, async () => {
          await writes(one.code);
          assertSteps(await converse({ model, stream, sends }), one);
        });
      }
    }
  }
  for (const stream of [false, true]) {
    test(`toolRunner with ${name} calls, ${stream ? "streamed" : "whole"}`, async () => {
      await writes(one.code);
      const tools = FUNCTIONS.map((tool) => ({ ...tool, run: RUN[tool.name], parse: (x) => x }));
      const runner = client.beta.messages.toolRunner({
        model: MODELS[0],
        max_tokens: 1000,
        tools: [SANDBOX, ...tools],
        messages: [{ role: "user", content: "Go ahead." }],
        stream,
      });
      const steps = [];
      for await (const each of runner) {
        steps.push(stream ? await each.finalMessage() : each);
      }
      assertSteps(steps, one);
    });
  }
}

test("a container is used again", async () => {
  const run = (code, container) =>
    control("POST", "reset")
      .then(() => writes(code))
      .then(() =>
        client.messages.create({
          model: MODELS[0],
          max_tokens: 1000,
          tools: [SANDBOX],
          messages: [{ role: "user", content: "Go ahead." }],
          container,
        }),
      );
  const first = await run("kept = 7");
  const second = await run("print(kept)", first.container.id);
  assert.equal(second.content[1].content.stdout, "7\n");
  await assert.rejects(run("1", "container_" + "0".repeat(24)), /not found or has expired/);
});
