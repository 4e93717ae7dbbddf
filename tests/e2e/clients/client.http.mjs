// Node's own clients against the proxy: `node client.http.mjs URL KEY BODY` prints what it saw.

import http from "node:http";

const [url, key, body] = process.argv.slice(2);
const headers = { "x-api-key": key, "content-type": "application/json" };

async function fetched() {
  const seen = [];
  for (let round = 0; round < 10; round++) {
    const answer = await fetch(`${url}/v1/messages`, { method: "POST", headers, body });
    seen.push([answer.status, JSON.parse(await answer.text()).type]);
  }
  const head = await fetch(`${url}/health`, { method: "HEAD" });
  seen.push([head.status, (await head.text()).length]);
  const stream = new Blob([body]).stream();
  const inChunks = await fetch(`${url}/v1/messages`, { method: "POST", headers, body: stream, duplex: "half" });
  seen.push([inChunks.status, (await inChunks.json()).type]);
  return seen;
}

function once(agent, options, write) {
  return new Promise((resolve, reject) => {
    const request = http.request(url + "/v1/messages", { method: "POST", headers, agent, ...options });
    request.on("error", reject);
    request.on("response", (answer) => {
      let text = "";
      const port = answer.socket.localPort;
      answer.on("data", (part) => (text += part));
      answer.on("end", () => resolve([answer.statusCode, JSON.parse(text).type, port]));
    });
    write(request);
  });
}

async function kept() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const rounds = Array.from({ length: 20 }, (_, round) =>
    once(agent, {}, (request) => (round % 2 ? request.end(body) : (request.write(body), request.end()))),
  );
  const seen = await Promise.all(rounds);
  const expecting = { headers: { ...headers, expect: "100-continue", "content-length": body.length } };
  seen.push(await once(agent, expecting, (request) => request.on("continue", () => request.end(body))));
  agent.destroy();
  return seen;
}

console.log(JSON.stringify({ fetched: await fetched(), kept: await kept() }));
