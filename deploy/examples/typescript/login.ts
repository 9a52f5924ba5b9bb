// A login from the command line: node build/login.js +12025550123
import { createInterface } from "node:readline/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./countersign.js";

type Verification = components["schemas"]["VerificationAnswer"];

const { COUNTERSIGN_URL: baseUrl = "", COUNTERSIGN_API_KEY: key = "" } = process.env;
const countersign = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });

// `attempt` is one for each click: a retry with the same one never sends a second message.
async function start(to: string, attempt: string): Promise<Verification> {
  const { data, error } = await countersign.POST("/v1/verifications", {
    params: { header: { "Idempotency-Key": attempt } },
    body: { to },
  });
  if (data) return data;
  switch (error.type) {
    case "/problems/invalid-request":
      throw new Error(error.errors.map((fault) => `${fault.pointer} ${fault.detail}`).join("; "));
    case "/problems/rate-limited":
      throw new Error(`Too many codes: the limit ${error.limit} is used up.`);
    default:
      throw new Error(error.detail);
  }
}

async function verify(verification_id: string, code: string): Promise<boolean> {
  const { data, error } = await countersign.POST("/v1/verifications/{verification_id}/verify", {
    params: { path: { verification_id } },
    body: { code },
  });
  if (error) throw new Error(error.detail);
  return data.approved;
}

const started = await start(process.argv[2] ?? "", crypto.randomUUID());
console.log(`A code is on its way to ${started.to}.`);
for await (const typed of createInterface({ input: process.stdin })) {
  if (await verify(started.id, typed)) {
    console.log("Logged in.");
    break;
  }
  console.log("That was not the code.");
}
