// Reads one token a line with the snippet of docs/verifying.md beside it, and answers each with one line of JSON.
import { webcrypto } from "node:crypto";
import { createInterface } from "node:readline";

globalThis.crypto ??= webcrypto; // Node 18
const { verify } = await import("./verify.mjs");

for await (const token of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await verify(token).catch((error) => ({ refused: String(error) }))));
}
process.exit();
