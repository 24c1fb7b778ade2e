/** Answers that do not end, or have no tokens that are good: of a service that says whatever the test wants. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import { after, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { openTab, PASSWORD, until, withCode } from "./support.js";

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

let tokens = 0;
let answer: (response: ServerResponse) => void = whole;
let sent = 0;
const open = new Set<ServerResponse>();

function whole(response: ServerResponse): void {
  response.end(JSON.stringify(good()));
}

function good() {
  return { access_token: `token-${++tokens}`, refresh_token: "art_1", session_id: "1", expires_in: 300 };
}

/** A space now and then. */
function drip(response: ServerResponse): void {
  const dripping = setInterval(() => response.write(" "), 50);
  response.on("close", () => clearInterval(dripping));
}

/** As many as there is room for. */
function pour(response: ServerResponse): void {
  const part = Buffer.alloc(1_000_000, 32);
  const more = () => {
    while (!response.destroyed) {
      sent += part.length;
      if (!response.write(part)) return;
    }
  };
  response.on("drain", more);
  more();
}

const server = createServer((_, response) => {
  open.add(response);
  response.on("close", () => open.delete(response));
  response.writeHead(200, { "Content-Type": "application/json" });
  answer(response);
}).listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as { port: number };
after(() => {
  server.closeAllConnections();
  server.close();
});

async function signedIn(timeout: number) {
  answer = whole;
  const auth = openTab({ url: `http://127.0.0.1:${port}`, mode: "memory", timeout });
  await auth.signIn({ email: "ada@example.com", password: PASSWORD });
  return auth;
}

test("an answer that stalls after its head ends in time, though memory was collected, and holds nobody up", async () => {
  const auth = await signedIn(600);
  const refused = await auth.accessToken();
  answer = drip;
  const collecting = setInterval(collect, 20);
  const asked = performance.now();
  await assert.rejects(auth.accessToken(refused), withCode("unavailable"));
  assert(performance.now() - asked < 3_000, "two tries");
  await until(() => open.size === 0);
  answer = whole;
  assert.notEqual(await auth.accessToken(refused), refused);
  clearInterval(collecting);
});

test("of an answer without an end no more is read than one may have", async () => {
  const auth = await signedIn(20_000);
  const refused = await auth.accessToken();
  answer = pour;
  await assert.rejects(auth.accessToken(refused), withCode("unavailable"));
  assert(sent < 100_000_000, `${sent} bytes`);
});

for (const [what, wrong] of Object.entries({
  "that are good for no time": { expires_in: 0 },
  "that have expired before": { expires_in: -1 },
  "that are good for ever": { expires_in: "ever" },
  "with an end of a line": { access_token: "a\r\nX: y" },
  "with a NUL": { access_token: "a\0" },
  "with a space": { access_token: "a b" },
  "with other letters": { access_token: "\u4e2d" },
  "with no letter": { access_token: "" },
  "one of which is a number": { refresh_token: 1 },
  "one of which has an end of a line": { refresh_token: "a\n" },
})) {
  test(`an answer with tokens ${what} signs nobody in, and changes no session`, async () => {
    const auth = await signedIn(600);
    const token = await auth.accessToken();
    const body = JSON.stringify({ ...good(), ...wrong }).replace('"ever"', "1e999");
    answer = (response) => response.end(body);
    await assert.rejects(auth.signIn({ email: "eve@example.com", password: PASSWORD }), withCode("unavailable"));
    await assert.rejects(auth.accessToken(token), withCode("unavailable"));
    assert.equal(await auth.accessToken(), token);
    if (!("refresh_token" in wrong)) {
      await assert.rejects(auth.stepUp({ password: PASSWORD }), withCode("unavailable"));
    }
    answer = whole;
    await auth.request("GET", "/auth/me");
  });
}
