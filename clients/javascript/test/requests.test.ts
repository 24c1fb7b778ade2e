/** The access token on requests, to the service and to APIs of other origins: on the double. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import { after, afterEach, test } from "node:test";
import type { AuthOptions, StepUpChallenge } from "auth-service-client";
import { emailOf, keysOf, openBrowser, PASSWORD, SERVICE, setClock, sleep, switchFaults, withCode } from "./support.js";

type Answer = (token: string | undefined, count: number) => { status?: number; challenge?: string };

/** An API: what it was sent, and what it answers. */
const seen: { token: string | undefined; body: string; path: string | undefined }[] = [];
let answer: Answer = () => ({});
const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
  const token = request.headers.authorization;
  seen.push({ token, body: await text(request), path: request.url });
  const { status = 200, challenge } = answer(token, seen.length);
  response.writeHead(status, challenge ? { "WWW-Authenticate": challenge } : {}).end("{}");
}).listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as { port: number };
const API = `http://127.0.0.1:${port}`;
const ELSEWHERE = `http://localhost:${port}`;

after(() => server.close());
afterEach(async () => {
  seen.length = 0;
  answer = () => ({});
  await switchFaults([]);
  await setClock(0);
});

async function signedIn(options: Partial<AuthOptions> = {}) {
  return (await openBrowser(1, { apis: [`${API}/v1/`], ...options })).first;
}

test("the service and the listed APIs get the token, and nobody else", async () => {
  const auth = await signedIn();
  const token = `Bearer ${await auth.accessToken()}`;
  await auth.fetch(`${API}/orders`);
  await auth.fetch(new URL(`${API}/orders`), { headers: { "X-Own": "1" } });
  await auth.fetch(new Request(`${API}/orders`, { method: "POST", body: "one" }));
  await auth.fetch(`${ELSEWHERE}/orders`);
  await auth.fetch(`http://user@localhost:${port}/`).catch(() => {});
  assert.deepEqual(
    seen.map(({ token }) => token),
    [token, token, token, undefined],
  );
  assert.equal((await auth.fetch(`${SERVICE}/auth/me`)).status, 200);
});

test("what has no origin of its own gets no token, whatever is listed", async () => {
  const sent: [string, boolean][] = [];
  const send: typeof fetch = async (input, init) => {
    const { url, headers } = new Request(input, init);
    if (new URL(url).origin === new URL(SERVICE).origin && !url.startsWith("blob:")) return fetch(input, init);
    sent.push([url, headers.has("Authorization")]);
    return new Response();
  };
  const auth = await signedIn({ fetch: send });
  const elsewhere = [
    "evil://host/x",
    "capacitor://localhost/x",
    "data:,x",
    "file:///x",
    `blob:${API}/x`,
    `blob:${SERVICE}/x`,
  ];
  for (const url of elsewhere) await auth.fetch(url);
  assert.deepEqual(
    sent,
    elsewhere.map((url) => [url, false]),
  );
  for (const api of ["capacitor://localhost", "file:///", "data:,x"]) {
    await assert.rejects(signedIn({ apis: [api] }), TypeError, api);
  }
});

test("a refused token is renewed once, and the body is sent again, whole", async () => {
  for (const challenge of ['Bearer realm="x", error="invalid_token"', undefined]) {
    for (const refusals of [0, 1, 2]) {
      seen.length = 0;
      const auth = await signedIn();
      answer = (_, count) => (count > refusals ? {} : { status: 401, ...(challenge && { challenge }) });
      const body = new Blob(["one ", "body"]).stream();
      const got = await auth.fetch(`${API}/orders`, { method: "POST", body, duplex: "half" } as RequestInit);
      assert.equal(got.status, refusals > 1 ? 401 : 200);
      assert.equal(seen.length, Math.min(refusals, 1) + 1);
      assert.equal(new Set(seen.map(({ token }) => token)).size, seen.length);
      assert(seen.every(({ body }) => body === "one body"));
    }
  }
});

test("another refusal is no reason to renew", async () => {
  const auth = await signedIn();
  for (const [status, challenge] of [
    [401, 'Basic realm="x"'],
    [401, "Bearer"],
    [403, 'Bearer error="insufficient_scope"'],
    [500, 'Bearer error="invalid_token"'],
  ] as const) {
    answer = () => ({ status, challenge });
    assert.equal((await auth.fetch(`${API}/orders`)).status, status);
  }
  assert.equal(seen.length, 4);
  assert.equal(keysOf(auth).length, 0);
});

test("an API that wants to be surer is answered once the user has proved who it is", async () => {
  const asked: StepUpChallenge[] = [];
  let isWilling = true;
  const auth = await signedIn({
    onStepUp: async (challenge) => {
      asked.push(challenge);
      if (isWilling) await auth.stepUp({ password: PASSWORD });
      return isWilling;
    },
  });
  const before = `Bearer ${await auth.accessToken()}`;
  const challenge = 'Bearer error="insufficient_user_authentication", max_age="300", acr_values="aal2 phr"';
  answer = (token) => (token === before ? { status: 401, challenge } : {});
  assert.equal((await auth.fetch(`${API}/orders`, { method: "POST", body: "one" })).status, 200);
  assert.deepEqual(asked, [{ acrValues: ["aal2", "phr"], maxAge: 300 }]);
  assert.deepEqual(
    seen.map(({ body }) => body),
    ["one", "one"],
  );
  answer = () => ({ status: 401, challenge: challenge.replace(' max_age="300",', "") });
  isWilling = false;
  assert.equal((await auth.fetch(`${API}/orders`)).status, 401, "the user did not want to");
  assert.deepEqual(asked[1], { acrValues: ["aal2", "phr"] });
  assert.equal(seen.length, 3);
});

test("the service asks for a recent sign-in in the same way, and the proof is of this tab and session", async () => {
  const asked: StepUpChallenge[] = [];
  const { first, tabs, email } = await openBrowser(2, {
    onStepUp: async (challenge: StepUpChallenge) => {
      asked.push(challenge);
      await first.stepUp({ password: PASSWORD });
      return true;
    },
  });
  await setClock(3_600);
  sleep(3_600);
  await first.sessions.endOthers();
  assert.deepEqual(asked, [{ acrValues: ["aal1", "aal2", "phr"], maxAge: 600 }]);
  await first.request("GET", "/auth/me/export");
  assert.equal(asked.length, 1, "the proof is good for a while");
  const [sure, other] = await Promise.all(tabs.map((tab) => tab.accessToken()));
  assert.notEqual(sure, other);
  await first.signOut();
  await first.signIn({ email, password: PASSWORD });
  assert.notEqual(await first.accessToken(), sure);
  sleep(-3_600);
});

test("a wrong proof is an error, and ends nothing", async () => {
  const auth = await signedIn();
  await assert.rejects(auth.stepUp({ password: "a wrong guess, and long" }), withCode("invalid-credentials"));
  assert.equal(auth.state.status, "signed-in");
});

test("a request ends when its caller says so, and the session is as before", async () => {
  const auth = await signedIn();
  await assert.rejects(auth.fetch(`${API}/orders`, { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert(await emailOf(auth));
});

test("a request ends when its caller says so, also while it waits for a token or for the user", async () => {
  const auth = await signedIn({ onStepUp: () => new Promise(() => {}) });
  const ends = async (why: string) => {
    const asked = performance.now();
    const signal = AbortSignal.timeout(150);
    await assert.rejects(auth.fetch(`${API}/orders`, { signal }), { name: "TimeoutError" }, why);
    assert(performance.now() - asked < 1_000, why);
  };
  answer = () => ({ status: 401, challenge: 'Bearer error="insufficient_user_authentication"' });
  await ends("a step-up");
  answer = () => ({});
  seen.length = 0;
  await switchFaults([{ fault: "delay-answer", seconds: 1.5 }]);
  sleep(310);
  await ends("a refresh");
  assert.equal(seen.length, 0);
  assert(await emailOf(auth), "the refresh went on");
  assert.equal(keysOf(auth).length, 1);
  sleep(-310);
});

test("what cannot be asked for is a TypeError, and nothing is sent", async () => {
  const auth = await signedIn();
  const sent = auth.sent.length;
  // biome-ignore lint/suspicious/noExplicitAny: what the compiler refuses
  const ask = auth.request as any;
  for (const path of [".evil.example/auth/me", "@evil.example/", ":444/auth/me", "-x.example/", "x", ""]) {
    await assert.rejects(ask("GET", path), TypeError, path);
  }
  await assert.rejects(ask("GET", "/auth/me", { body: {} }), TypeError);
  await assert.rejects(ask("GET AND MORE", "/auth/me"), TypeError);
  assert.equal(auth.sent.length, sent);
});

test("nothing that the service sends elsewhere is followed", async () => {
  const redirect: typeof fetch = async (input, init) => {
    const request = new Request(input, init);
    assert.equal(request.redirect, "error");
    return fetch(input, init);
  };
  assert(await emailOf(await signedIn({ fetch: redirect })));
});
