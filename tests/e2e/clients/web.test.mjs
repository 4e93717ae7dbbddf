// @anthropic-ai/sdk with web search and web fetch. Run by tests/e2e/test_searching_typescript.py,
// which tells the addresses, keys, and what is on the web by environment variables.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { control } from "./simulator.mjs";

const { PROXY_URL, PROXY_KEY } = process.env;
const WEB = JSON.parse(process.env.WEB); // page, found, text, models, answer, code, calls
const QUESTION = { role: "user", content: "Who jumped, and where is it now?" };
const CALLER = "code_execution_20260120";
const tools = (version) => {
  const day = version ?? "20250305";
  return [
    { type: `web_search_${day}`, name: "web_search" },
    {
      type: `web_fetch_${version ?? "20250910"}`,
      name: "web_fetch",
      citations: { enabled: true },
    },
  ];
};
const client = new Anthropic({ baseURL: PROXY_URL, apiKey: PROXY_KEY, maxRetries: 0 });

const text = (words) => ({ type: "text", text: words });
const call = (name, input) => ({ type: "tool_use", id: `toolu_${name}`, name, input });
const answers = (...replies) =>
  control(
    "POST",
    "script",
    replies.map((content) => ({ reply: { content, chunk_chars: 5 } })),
  );

async function shown() {
  const { requests } = await control("GET", "requests");
  assert.deepEqual(
    requests.filter((entry) => entry.status !== 200),
    [],
  );
  return requests.map((entry) => JSON.stringify(entry.body));
}

function ask({ model, stream, messages, version, ...fields }) {
  const body = { model, max_tokens: 500, tools: tools(version), messages, ...fields };
  return stream ? client.messages.stream(body).finalMessage() : client.messages.create(body);
}

const types = (message) => message.content.map((block) => block.type);
const citations = (message) => message.content.flatMap((block) => block.citations ?? []);

function assertQuotes(blocks) {
  const [, reward, , asleep] = blocks;
  assert.equal(blocks.length, 5);
  assert.equal(reward.text, "there is a reward");
  assert.equal(asleep.text, "it sleeps in Arles");
  const [found] = reward.citations;
  assert.equal(found.type, "web_search_result_location");
  assert.equal(found.url, WEB.page);
  assert.ok(found.cited_text.length <= 150);
  assert.ok(WEB.found.includes(found.cited_text) && found.cited_text.includes("reward"));
  const [fetched] = asleep.citations;
  assert.equal(fetched.type, "char_location");
  assert.equal(
    WEB.text.slice(fetched.start_char_index, fetched.end_char_index),
    fetched.cited_text,
  );
  assert.match(fetched.cited_text, /asleep under the bridge/);
  for (const block of [blocks[0], blocks[2], blocks[4]]) assert.ok(!block.citations?.length);
}

beforeEach(() => control("POST", "reset"));

for (const [dialect, model] of Object.entries(WEB.models)) {
  for (const stream of [false, true]) {
    const how = `${dialect}, ${stream ? "streamed" : "whole"}`;

    test(`a conversation searches, fetches and cites: ${how}`, async () => {
      await answers(
        [call("web_search", { query: "fox" })],
        [call("web_fetch", { url: WEB.page })],
        [text(WEB.answer)],
      );
      const message = await ask({ model, stream, messages: [QUESTION] });
      assert.deepEqual(types(message).slice(0, 4), [
        "server_tool_use",
        "web_search_tool_result",
        "server_tool_use",
        "web_fetch_tool_result",
      ]);
      const [search, found, fetching, page] = message.content;
      assert.match(search.id, /^srvtoolu_/);
      assert.deepEqual([search.input, found.tool_use_id], [{ query: "fox" }, search.id]);
      assert.equal(found.content[0].url, WEB.page);
      assert.deepEqual([fetching.input, page.tool_use_id], [{ url: WEB.page }, fetching.id]);
      assert.equal(page.content.content.source.data, WEB.text);
      assertQuotes(message.content.slice(4));
      assert.equal(message.stop_reason, "end_turn");
      assert.equal(message.usage.server_tool_use.web_search_requests, 1);
      assert.equal(message.usage.server_tool_use.web_fetch_requests, 1);

      await control("POST", "reset");
      await answers([text(WEB.answer)]);
      const messages = [
        QUESTION,
        { role: "assistant", content: message.content },
        { role: "user", content: "Are you sure?" },
      ];
      const again = await ask({ model, stream, messages });
      assertQuotes(again.content);
      const [body] = await shown();
      for (const words of ["offered a reward", "quick brown fox", ">there is a reward<"]) {
        assert.ok(body.includes(words), words);
      }
      const counted = await client.messages.countTokens({ model, tools: tools(), messages });
      assert.ok(counted.input_tokens > 100);
    });

    test(`code searches, fetches and prints: ${how}`, async () => {
      await answers([call("code_execution", { code: WEB.code })], [text(WEB.answer)]);
      const version = "20260209";
      const message = await ask({ model, stream, messages: [QUESTION], version });
      assert.deepEqual(types(message).slice(0, 6), [
        "server_tool_use",
        "server_tool_use",
        "web_search_tool_result",
        "server_tool_use",
        "web_fetch_tool_result",
        "code_execution_tool_result",
      ]);
      const [cell, ...rest] = message.content;
      for (const block of rest.slice(0, 4)) {
        assert.deepEqual(block.caller, { type: CALLER, tool_id: cell.id });
      }
      assert.match(rest[4].content.stdout, /reward of 100 euros/);
      assertQuotes(rest.slice(5));

      await control("POST", "reset");
      await answers([text(WEB.answer)]);
      const messages = [
        QUESTION,
        { role: "assistant", content: message.content },
        { role: "user", content: "Are you sure?" },
      ];
      assertQuotes((await ask({ model, stream, messages, version })).content);
    });
  }
}

test("citations of a stream come as events of their own", async () => {
  await answers(
    [call("web_search", { query: "fox" })],
    [call("web_fetch", { url: WEB.page })],
    [text(WEB.answer)],
  );
  const [model] = Object.values(WEB.models);
  const stream = client.messages.stream({
    model,
    max_tokens: 500,
    tools: tools(),
    messages: [QUESTION],
  });
  const told = [];
  stream.on("citation", (citation, all) => told.push([citation.type, all.length]));
  const message = await stream.finalMessage();
  assert.deepEqual(told, [
    ["web_search_result_location", 1],
    ["char_location", 1],
  ]);
  assert.equal(citations(message).length, 2);
});

for (const stream of [false, true]) {
  test(`a turn that pauses goes on, ${stream ? "streamed" : "whole"}`, async () => {
    const [model] = Object.values(WEB.models);
    await answers(...Array(WEB.calls).fill([call("web_search", { query: "fox" })]));
    const messages = [QUESTION];
    const message = await ask({ model, stream, messages });
    assert.equal(message.stop_reason, "pause_turn");
    assert.equal(message.usage.server_tool_use.web_search_requests, WEB.calls);
    await answers([text("So.")]);
    messages.push({ role: "assistant", content: message.content });
    const more = await ask({ model, stream, messages });
    assert.deepEqual([more.stop_reason, more.content[0].text], ["end_turn", "So."]);
  });
}
