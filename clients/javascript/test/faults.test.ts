/** What goes wrong between a client and the service, and signs nobody out: on the double. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, test } from "node:test";
import type { AuthError } from "auth-service-client";
import {
  emailOf,
  keysOf,
  openBrowser,
  openTab,
  PASSWORD,
  SERVICE,
  SharedStorage,
  setClock,
  signIn,
  sleep,
  switchFaults,
  until,
  withCode,
} from "./support.js";

afterEach(async () => {
  await switchFaults([]);
  await setClock(0);
});

test("a token is renewed before it expires, once for all who ask and for all tabs", async () => {
  const { tabs } = await openBrowser(3);
  const before = await tabs[0]?.accessToken();
  sleep(280);
  const tokens = await Promise.all(tabs.flatMap((tab) => [tab.accessToken(), tab.accessToken()]));
  assert(!tokens.includes(before ?? ""));
  const requests = tabs.map((tab) => keysOf(tab).length);
  assert(
    requests.every((count) => count <= 1),
    "one refresh for all who ask in a tab",
  );
  const later = tabs.map((tab) => tab.accessToken());
  assert.equal(new Set(await Promise.all(later)).size, 1, "all tabs take the newest token");
});

test("a lost answer is asked for again with the same key, also past the grace and after a reload", async () => {
  const { first, storage, name, email } = await openBrowser(1);
  await switchFaults([{ fault: "lose-answer", times: 2 }]);
  await setClock(290);
  sleep(310);
  await assert.rejects(first.accessToken(), withCode("unavailable"));
  assert.equal(first.state.status, "signed-in");
  first.close();
  await setClock(290 + 600);
  const reloaded = openTab({ storage, name });
  assert.equal(await emailOf(reloaded), email);
  const keys = [...keysOf(first), ...keysOf(reloaded)];
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
});

test("a token that could not be renewed is used as long as it is good", async () => {
  const { first } = await openBrowser(1);
  const before = await first.accessToken();
  await switchFaults([{ fault: "unavailable", seconds: 5, times: null }]);
  sleep(280);
  assert.equal(await first.accessToken(), before);
  sleep(30);
  await assert.rejects(first.accessToken(), (error: AuthError) => {
    assert.deepEqual([error.code, error.status, error.retryAfter], ["unavailable", 503, 5]);
    return true;
  });
  const sent = keysOf(first).length;
  await assert.rejects(first.accessToken(), withCode("unavailable"));
  assert.equal(keysOf(first).length, sent, "who was told to wait waits");
});

test("a call ends in time where the service does not answer", async () => {
  const { first, tabs } = await openBrowser(2, { timeout: 300 });
  await switchFaults([{ fault: "delay-answer", seconds: 3, times: 2 }]);
  sleep(310);
  const asked = performance.now();
  await assert.rejects(first.accessToken(), withCode("unavailable"));
  assert(performance.now() - asked < 1_500);
  assert.equal(keysOf(first).length, 2, "it has tried twice");
  assert.equal(first.state.status, "signed-in");
  assert.equal(await tabs[1]?.accessToken(), await first.accessToken());
});

test("an end of the session is told to all tabs, and nothing else ends it", async () => {
  const { first, tabs, email } = await openBrowser(2);
  const other = openTab();
  await other.signIn({ email, password: PASSWORD });
  await other.sessions.endOthers();
  sleep(310);
  await assert.rejects(first.accessToken(), withCode("signed-out"));
  await until(() => tabs.every((tab) => tab.state.status === "signed-out"));
  assert.equal(other.state.status, "signed-in");
});

const IN_BETWEEN: Record<string, Response> = {
  "a captive portal": new Response("<html>pay here</html>"),
  "a list": Response.json([1]),
  "a wrong lifetime": Response.json({ access_token: "x", refresh_token: "x", session_id: "1", expires_in: "x" }),
  "no lifetime": Response.json({ access_token: "x", refresh_token: "x", session_id: "1" }),
  "a wrong token": Response.json({ access_token: 1, refresh_token: "x", session_id: "1", expires_in: 300 }),
  "no refresh token": Response.json({ access_token: "x", session_id: "1", expires_in: 300 }),
  "another 401": Response.json({ code: "another" }, { status: 401 }),
  "a 401 without a body": new Response(null, { status: 401 }),
  "a 404": new Response("not here", { status: 404 }),
  "a 502 that looks like the end": Response.json({ code: "invalid-refresh-token" }, { status: 502 }),
  "a 400 that looks like the end": Response.json({ code: "invalid-refresh-token" }, { status: 400 }),
};

const OF_ITS_OWN: Record<string, string> = {
  "another 401": "another",
  "a 400 that looks like the end": "invalid-refresh-token",
};

test("no answer of something in between ends or spoils the session", async (t) => {
  for (const [what, answer] of Object.entries(IN_BETWEEN)) {
    await t.test(what, async () => {
      let isBetween = false;
      const send: typeof fetch = async (...request) => (isBetween ? answer.clone() : fetch(...request));
      const { first, email } = await openBrowser(1, { fetch: send });
      isBetween = true;
      sleep(310);
      const code = OF_ITS_OWN[what] ?? "unavailable";
      await assert.rejects(first.accessToken(), withCode(code));
      await assert.rejects(first.signIn({ email, password: PASSWORD }), withCode(code));
      assert.equal(first.state.status, "signed-in");
      isBetween = false;
      assert.equal(await emailOf(first), email);
    });
  }
});

test("who is told to wait, by a number or by a date, waits for a minute at most and asks in vain until then", async () => {
  const inTenSeconds = "a date";
  for (const [told, least, most] of [
    ["5", 5, 5],
    ["9".repeat(99), 86_400, 86_400],
    [inTenSeconds, 9, 11],
  ] as const) {
    let isBetween = false;
    const busy = () => {
      const header = told === inTenSeconds ? new Date(Date.now() + 10_000).toUTCString() : told;
      return Response.json({ code: "too-many-attempts" }, { status: 429, headers: { "Retry-After": header } });
    };
    const { first } = await openBrowser(1, { fetch: async (...request) => (isBetween ? busy() : fetch(...request)) });
    isBetween = true;
    sleep(310);
    for (let asked = 0; asked < 2; asked++) {
      await assert.rejects(first.accessToken(), ({ code, retryAfter = 0 }: AuthError) => {
        assert.equal(code, "too-many-attempts");
        assert(least <= retryAfter && retryAfter <= most, `${told}: ${retryAfter}`);
        return true;
      });
    }
    assert.equal(keysOf(first).length, 1, told);
  }
});

test("a refused token is renewed in the background, too, if that failed at first, whatever the answer was", async () => {
  for (const [status, code] of [
    [401, "another"],
    [403, "cross-site-request"],
    [400, "invalid-request"],
    [500, "internal-error"],
  ] as const) {
    let isBetween = false;
    const answer = () => Response.json({ code }, { status });
    const { first } = await openBrowser(1, { fetch: async (...request) => (isBetween ? answer() : fetch(...request)) });
    const refused = await first.accessToken();
    isBetween = true;
    await assert.rejects(first.accessToken(refused), withCode(status === 500 ? "unavailable" : code));
    assert.equal(keysOf(first).length, 2, `${status}: it has tried twice`);
    isBetween = false;
    await until(() => keysOf(first).length === 3, 4);
    assert.notEqual(await first.accessToken(), refused);
  }
});

test("clocks that are wrong renew in time", async () => {
  for (const ahead of [600, -600]) {
    await setClock(ahead);
    const { first, email } = await openBrowser(1);
    const before = await first.accessToken();
    assert.equal(await first.accessToken(), before);
    assert.equal(keysOf(first).length, 0);
    await setClock(ahead + 310);
    sleep(310);
    assert.equal(await emailOf(first), email);
    sleep(-600); // set back: the token seems to be from the future
    assert.equal(await emailOf(first), email);
    assert.equal(keysOf(first).length, 2);
    sleep(290);
  }
});

test("a refused token is renewed, though this machine's clock takes it for good", async () => {
  const { first, email } = await openBrowser(1);
  await setClock(310);
  assert.equal(await emailOf(first), email);
  assert.equal(keysOf(first).length, 1);
});

test("a lost answer of a sign-out leaves nobody signed in here", async () => {
  const { first, tabs } = await openBrowser(2);
  await switchFaults([{ fault: "lose-answer", route: "POST /auth/logout", times: null }]);
  await assert.rejects(first.signOut(), withCode("unavailable"));
  await until(() => tabs.every((tab) => tab.state.status === "signed-out"));
});

test("a blip of the network is waited for, by a refresh and by a sign-out", async () => {
  let isDown = false;
  let first: number | undefined;
  const send: typeof fetch = async (...request) => {
    first ??= isDown ? performance.now() : undefined;
    if (isDown && performance.now() - (first ?? 0) < 150) throw new TypeError("the network is down");
    return fetch(...request);
  };
  const { first: tab, email } = await openBrowser(1, { fetch: send });
  sleep(310);
  isDown = true;
  assert.equal(await emailOf(tab), email);
  assert.equal(keysOf(tab).length, 2);
  first = undefined;
  await tab.signOut();
  assert.equal(tab.sent.filter(({ path }) => path === "/auth/logout").length, 2);
});

test("a sign-out during a refresh is not undone by its answer", async () => {
  const { first, tabs } = await openBrowser(2);
  await switchFaults([{ fault: "delay-answer", seconds: 0.3 }]);
  sleep(310);
  const refreshed = first.accessToken();
  await until(() => keysOf(first).length === 1);
  await tabs[1]?.signOut();
  await assert.rejects(refreshed, withCode("signed-out"));
  assert(tabs.every((tab) => tab.state.status === "signed-out"));
});

test("an end of a session that is not the tab's any more ends nothing", async () => {
  const { first, tabs, email } = await openBrowser(2);
  await first.sessions.end(first.state.sessionId ?? "");
  await switchFaults([{ fault: "delay-answer", seconds: 0.4 }]);
  sleep(310);
  const refreshed = first.accessToken();
  await until(() => keysOf(first).length === 1);
  await tabs[1]?.signIn({ email, password: PASSWORD });
  assert.equal(await refreshed, await tabs[1]?.accessToken());
  assert.equal(await emailOf(first), email);
});

test("an outage is no storm of requests, and the tab renews by itself when it is over", async () => {
  const { first } = await openBrowser(1);
  await switchFaults([{ fault: "lose-request", times: null }]);
  sleep(310);
  await assert.rejects(first.accessToken(), withCode("unavailable"));
  await new Promise((resolve) => setTimeout(resolve, 600));
  const sent = keysOf(first).length;
  assert.equal(sent, 2);
  await switchFaults([]);
  await until(() => keysOf(first).length > sent, 4);
});

class FullStorage extends SharedStorage {
  isFull = false;

  override setItem(name: string, value: string): void {
    if (this.isFull) throw new DOMException("full", "QuotaExceededError");
    super.setItem(name, value);
  }
}

test("a storage that is full or was spoilt signs nobody out", async () => {
  const storage = new FullStorage();
  const { first, tabs, email } = await openBrowser(2, { storage });
  for (const spoil of ["", "{", "null", "[]", '{"version":"x"}', '{"version":1e300}', '{"version":9007199254740991}']) {
    for (const item of storage.items.keys()) storage.items.set(item, spoil);
    for (const tab of tabs) assert.equal(await emailOf(tab), email, spoil);
    sleep(310);
    for (const tab of tabs) assert.equal(await emailOf(tab), email, spoil);
  }
  storage.items.clear();
  for (const tab of tabs) assert.equal(await emailOf(tab), email, "emptied");
  storage.isFull = true;
  for (let night = 0; night < 3; night++) {
    await switchFaults([{ fault: "lose-answer", jump: 600 }]);
    await setClock(3_000 + night * 3_000);
    sleep(3_000);
    for (const tab of tabs) assert.equal(await emailOf(tab), email, "full");
  }
  await first.signOut();
  await until(() => tabs.every((tab) => tab.state.status === "signed-out"));
});

test("a storage that is blocked is none", async () => {
  const deny = () => {
    throw new DOMException("denied", "SecurityError");
  };
  const blocked = { getItem: deny, setItem: deny, removeItem: deny };
  const { first, email } = await openBrowser(1, { storage: blocked });
  sleep(310);
  assert.equal(await emailOf(first), email);
  Object.defineProperty(globalThis, "localStorage", { get: deny, configurable: true });
  assert.equal(openTab({ storage: undefined as never }).state.status, "signed-out");
});

test("a page that wakes up looks again", async () => {
  const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
  Object.assign(globalThis, { document: page });
  const { first, storage, name } = await openBrowser(1);
  Reflect.deleteProperty(globalThis, "document");
  sleep(310);
  page.dispatchEvent(new Event("visibilitychange"));
  await until(() => keysOf(first).length === 1);
  const stored = JSON.parse(storage.getItem(`auth-service storage ${SERVICE} ${name}`) ?? "");
  const gone = { version: stored.version + 1, session_id: null };
  storage.setItem(`auth-service storage ${SERVICE} ${name}`, JSON.stringify(gone));
  page.dispatchEvent(new Event("resume")); // it was frozen while another tab signed out
  assert.equal(first.state.status, "signed-out");
});

test("nothing of a session is told to the console or in an error", async () => {
  const told: unknown[] = [];
  for (const method of ["log", "warn", "error", "info", "debug"] as const) {
    console[method] = (...what: unknown[]) => told.push(...what);
  }
  const { first, email, storage } = await openBrowser(1, { name: randomUUID() });
  const token = await first.accessToken();
  await switchFaults([
    { fault: "lose-answer", times: null },
    { fault: "lose-request", route: "GET /auth/me" },
  ]);
  sleep(310);
  const errors = [await first.accessToken().catch((error) => error), await emailOf(first).catch((error) => error)];
  const text = JSON.stringify([...errors, ...errors.map(({ message, stack, cause }) => [message, stack, cause]), told]);
  assert(!/eyJ|art_/.test(text), text);
  assert(!text.includes(token) && !text.includes(email));
  assert(
    JSON.stringify([...(storage as SharedStorage).items.values()]).includes("art_"),
    "the test looks for the right",
  );
  await signIn(first).catch(() => {});
});
