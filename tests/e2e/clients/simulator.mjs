// The simulator's control, for the cases in TypeScript's SDK beside this file.
import assert from "node:assert/strict";

export async function control(method, path, document) {
  const response = await fetch(`${process.env.SIMULATOR_URL}/_sim/${path}`, {
    method,
    body: document && JSON.stringify(document),
  });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}
