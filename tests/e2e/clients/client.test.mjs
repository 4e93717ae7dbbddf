// @anthropic-ai/sdk against the proxy. Run by tests/e2e/test_sdk_typescript.py, which tells the
// addresses and keys by environment variables.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { control } from "./simulator.mjs";

const { PROXY_URL, PROXY_KEY, REVOKED_KEY, IMPATIENT_URL, IMPATIENT_KEY } =
  process.env;
const MODEL = "claude-opus-5-5";
const OLDER = "claude-haiku-4-5";
const HELLO = { model: MODEL, max_tokens: 2048, messages: [{ role: "user", content: "Hello" }] };
const WEATHER = {
  name: "get_weather",
  description: "The weather of a city.",
  input_schema: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
  },
};
const ANSWER = [
  { type: "thinking", thinking: "They want Oslo.", signature: "c2lnbmF0dXJl" },
  { type: "text", text: "Let me look. Ça va? ☃" },
  { type: "tool_use", id: "toolu_1", name: "get_weather", input: { city: "Oslo" } },
];
const USAGE = { input_tokens: 120, output_tokens: 45, cache_read_input_tokens: 1000 };

const client = new Anthropic({ baseURL: PROXY_URL, apiKey: PROXY_KEY, maxRetries: 0 });
const impatient = new Anthropic({ baseURL: IMPATIENT_URL, apiKey: IMPATIENT_KEY, maxRetries: 0 });

const script = (...steps) => control("POST", "script", steps);
const arrived = async () => (await control("GET", "requests")).requests;
const answer = (fields = {}) => script({ reply: { content: ANSWER, usage: USAGE, ...fields } });

/** The blocks with the keys that were scripted. */
function asScripted(content) {
  assert.equal(content.length, ANSWER.length);
  return content.map((block, index) =>
    Object.fromEntries(Object.keys(ANSWER[index]).map((key) => [key, block[key]])),
  );
}

async function refused(work) {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof Anthropic.APIError, String(error));
    assert.match(error.requestID, /^req_/);
    return error;
  }
  assert.fail("no error");
}

beforeEach(() => control("POST", "reset"));

test("a message is what the model said", async () => {
  await answer();
  const message = await client.messages.create({ ...HELLO, tools: [WEATHER] });
  assert.deepEqual(asScripted(message.content), ANSWER);
  assert.equal(message.model, MODEL);
  assert.equal(message.stop_reason, "tool_use");
  assert.equal(message.usage.output_tokens, 45);
  assert.equal(message.usage.cache_read_input_tokens, 1000);
  assert.match(message._request_id, /^req_/);
});

test("an accumulated stream is what the model said", async () => {
  await answer({ chunk_chars: 3 });
  const stream = client.messages.stream({ ...HELLO, tools: [WEATHER] });
  let text = "";
  stream.on("text", (piece) => (text += piece));
  const message = await stream.finalMessage();
  assert.deepEqual(asScripted(message.content), ANSWER);
  assert.equal(text, ANSWER[1].text);
  assert.equal(message.stop_reason, "tool_use");
  assert.equal(message.usage.output_tokens, 45);
  assert.match(stream.request_id, /^req_/);
});

test("a raw stream has the events of the API", async () => {
  await answer();
  const events = [];
  for await (const event of await client.messages.create({
    ...HELLO,
    tools: [WEATHER],
    stream: true,
  })) {
    events.push(event);
  }
  const types = events.map((event) => event.type);
  assert.equal(types[0], "message_start");
  assert.deepEqual(types.slice(-2), ["message_delta", "message_stop"]);
  const blocks = events.filter((event) => event.type === "content_block_start");
  assert.deepEqual(
    blocks.map((event) => event.content_block.type),
    ["thinking", "text", "tool_use"],
  );
  assert.equal(events.at(-2).usage.output_tokens, 45);
});

test("a tool round trip", async () => {
  await answer();
  await script({
    match: { body: '"tool_use_id": ?"toolu_1"' },
    reply: { content: [{ type: "text", text: "Snow." }] },
  });
  const first = await client.messages.create({ ...HELLO, tools: [WEATHER] });
  const second = await client.messages.create({
    ...HELLO,
    tools: [WEATHER],
    messages: [
      ...HELLO.messages,
      { role: "assistant", content: first.content },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: first.content.at(-1).id, content: "-3, snow" },
        ],
      },
    ],
  });
  assert.equal(second.content[0].text, "Snow.");
});

for (const stream of [false, true]) {
  test(`toolRunner goes on without a thread, ${stream ? "streamed" : "whole"}`, async () => {
    await answer();
    await script({
      match: { body: '"tool_use_id": ?"toolu_1"' },
      reply: { content: [{ type: "text", text: "Snow." }] },
    });
    const run = ({ city }) => `${city}: -3, snow`;
    const tools = [{ ...WEATHER, run, parse: (x) => x }];
    const steps = [];
    for await (const each of client.beta.messages.toolRunner({ ...HELLO, tools, stream })) {
      steps.push(stream ? await each.finalMessage() : each);
    }
    assert.deepEqual(
      steps.map((step) => step.stop_reason),
      ["tool_use", "end_turn"],
    );
    assert.equal((await arrived()).at(-1).body.messages.length, 3);
  });
}

test("thinking", async () => {
  const thinking = { type: "enabled", budget_tokens: 1024 };
  const message = await client.messages.create({ ...HELLO, model: OLDER, thinking });
  assert.deepEqual(
    message.content.map((block) => block.type),
    ["thinking", "text"],
  );
  assert.ok(message.content[0].signature);
  assert.deepEqual((await arrived())[0].body.thinking, thinking);
});

test("the beta namespace", async () => {
  const context_management = { edits: [{ type: "clear_tool_uses_20250919" }] };
  const betas = ["context-management-2025-06-27", "made-up-2025-01-01"];
  const message = await client.beta.messages.create({
    ...HELLO,
    model: OLDER,
    betas,
    context_management,
  });
  assert.equal(message.content[0].type, "text");
  const [{ body }] = await arrived();
  assert.deepEqual(body.anthropic_beta, betas.slice(0, 1));
  assert.deepEqual(body.context_management, context_management);
});

test("counting tokens", async () => {
  const fields = { model: OLDER, messages: HELLO.messages, system: "Be terse." };
  const counted = await client.messages.countTokens(fields);
  const message = await client.messages.create({ ...HELLO, ...fields });
  assert.equal(counted.input_tokens, message.usage.input_tokens);
  assert.equal((await arrived())[0].operation, "CountTokens");
});

test("models, page by page and by alias", async () => {
  const ids = [];
  for await (const model of client.models.list({ limit: 5 })) ids.push(model.id);
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.length > 10 && ids.includes(MODEL));
  assert.equal((await client.models.retrieve(OLDER)).id, "claude-haiku-4-5-20251001");
});

test("headers are those of the newest API", async () => {
  const { data, response } = await client.messages.create(HELLO).withResponse();
  assert.equal(data.type, "message");
  assert.equal(response.headers.get("request-id"), data._request_id);
});

test("a wrong key", async () => {
  const wrong = new Anthropic({ baseURL: PROXY_URL, apiKey: "sk-wrong", maxRetries: 0 });
  const error = await refused(() => wrong.messages.create(HELLO));
  assert.ok(error instanceof Anthropic.AuthenticationError);
  assert.deepEqual(await arrived(), []);
});

test("a revoked key", async () => {
  const revoked = new Anthropic({ baseURL: PROXY_URL, apiKey: REVOKED_KEY, maxRetries: 0 });
  const error = await refused(() => revoked.messages.create(HELLO));
  assert.ok(error instanceof Anthropic.PermissionDeniedError);
});

test("an unknown model", async () => {
  const error = await refused(() => client.messages.create({ ...HELLO, model: "claude-none" }));
  assert.ok(error instanceof Anthropic.NotFoundError);
  assert.match(error.message, /claude-none/);
});

test("a bad request names the path", async () => {
  const messages = [{ role: "robot", content: "hi" }];
  const error = await refused(() => client.messages.create({ ...HELLO, messages }));
  assert.ok(error instanceof Anthropic.BadRequestError);
  assert.match(error.message, /messages\.0\.role/);
});

test("a request over the limit", async () => {
  const messages = [{ role: "user", content: "x".repeat(34_000_000) }];
  const error = await refused(() => client.messages.create({ ...HELLO, messages }));
  assert.equal(error.status, 413);
  assert.equal(error.error.error.type, "request_too_large");
});

for (const [exception, status, type, expected] of [
  ["ThrottlingException", 429, "rate_limit_error", Anthropic.RateLimitError],
  ["ServiceUnavailableException", 529, "overloaded_error", Anthropic.InternalServerError],
  ["InternalServerException", 500, "api_error", Anthropic.InternalServerError],
  ["ModelTimeoutException", 504, "timeout_error", Anthropic.InternalServerError],
  ["AccessDeniedException", 403, "permission_error", Anthropic.PermissionDeniedError],
]) {
  test(`${exception} of Bedrock`, async () => {
    await script({ error: { type: exception, message: "Not today" }, times: "forever" });
    const error = await refused(() => impatient.messages.create(HELLO));
    assert.equal(error.status, status);
    assert.equal(error.error.error.type, type);
    assert.ok(error instanceof expected);
    assert.match(error.message, /Not today/);
  });
}

test("throttling that passes is not seen", async () => {
  await script({ error: { type: "ThrottlingException", message: "no" }, times: 1 });
  assert.equal((await client.messages.create(HELLO)).stop_reason, "end_turn");
  assert.deepEqual(
    (await arrived()).map((request) => request.status),
    [429, 200],
  );
});

test("a failure in the middle of a stream", async () => {
  const fault = { kind: "exception", type: "throttlingException", message: "Slow down" };
  await script({ faults: [{ ...fault, after_events: 4 }] });
  const stream = client.messages.stream(HELLO);
  const error = await refused(() => stream.finalMessage());
  assert.equal(error.error.error.type, "rate_limit_error");
  assert.match(error.message, /Slow down/);
});

test("a client that leaves stops the model", async () => {
  await script({ event_delay_ms: 50, reply: { content: ANSWER, chunk_chars: 1 } });
  const stream = client.messages.stream(HELLO);
  for await (const event of stream) if (event.type === "content_block_delta") break;
  stream.abort();
  const deadline = Date.now() + 5000;
  while ((await arrived()).length === 0 && Date.now() < deadline);
  assert.equal((await arrived())[0].outcome, "aborted");
});
