/** Answers that do not end: of a service that says whatever the test wants. */

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
let refresh: (response: ServerResponse) => void = whole;
let sent = 0;
const open = new Set<ServerResponse>();

function whole(response: ServerResponse): void {
  const access_token = `token ${++tokens}`;
  response.end(JSON.stringify({ access_token, refresh_token: "art_1", session_id: "1", expires_in: 300 }));
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

const server = createServer((request, response) => {
  open.add(response);
  response.on("close", () => open.delete(response));
  response.writeHead(200, { "Content-Type": "application/json" });
  if (request.url === "/auth/refresh") refresh(response);
  else whole(response);
}).listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as { port: number };
after(() => {
  server.closeAllConnections();
  server.close();
});

async function signedIn(timeout: number) {
  refresh = whole;
  const auth = openTab({ url: `http://127.0.0.1:${port}`, mode: "memory", timeout });
  await auth.signIn({ email: "ada@example.com", password: PASSWORD });
  return auth;
}

test("an answer that stalls after its head ends in time, though memory was collected, and holds nobody up", async () => {
  const auth = await signedIn(600);
  const refused = await auth.accessToken();
  refresh = drip;
  const collecting = setInterval(collect, 20);
  const asked = performance.now();
  await assert.rejects(auth.accessToken(refused), withCode("unavailable"));
  assert(performance.now() - asked < 3_000, "two tries");
  await until(() => open.size === 0);
  refresh = whole;
  assert.notEqual(await auth.accessToken(refused), refused);
  clearInterval(collecting);
});

test("of an answer without an end no more is read than one may have", async () => {
  const auth = await signedIn(20_000);
  const refused = await auth.accessToken();
  refresh = pour;
  await assert.rejects(auth.accessToken(refused), withCode("unavailable"));
  assert(sent < 100_000_000, `${sent} bytes`);
});
