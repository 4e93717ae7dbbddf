// Runs a recipe of docs/how-to/clients.md, then the cases that go with it: what run_case.py does,
// for JavaScript. The recipe is a module that exports its names.

import { resolve } from "node:path";

const [recipe, cases] = process.argv.slice(2).map((path) => resolve(path));
const found = await import(cases);
let made = {};

async function tell(name, run) {
  let problem = null;
  try {
    await run(made);
  } catch (error) {
    problem = String(error.stack ?? error).slice(0, 1500);
  }
  console.log("\n" + JSON.stringify({ case: name, problem }));
}

await tell("recipe", async () => (made = await import(recipe)));
for (const name of ["text", "stream", "tools", "advanced"]) {
  if (name in found) await tell(name, found[name]);
}
