/** What a client does in an outage, of minutes: by a clock that does not wait, at a service that is not there. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { AuthOptions } from "auth-service-client";
import { openTab, PASSWORD } from "./support.js";

let now = 0; // milliseconds
let timers = new Map<object, { at: number; work: () => void }>();

beforeEach(() => {
  now = 0;
  timers = new Map();
  mock.method(performance, "now", () => now);
  mock.method(Date, "now", () => 1_800_000_000_000 + now);
  mock.method(globalThis, "setTimeout", (work: () => void, milliseconds: number) => {
    const timer = {};
    timers.set(timer, { at: now + milliseconds, work });
    return timer;
  });
  mock.method(globalThis, "clearTimeout", (timer: object) => timers.delete(timer));
});

afterEach(() => mock.restoreAll());

/** Let what is due within these seconds be done, each at its time. */
async function pass(seconds: number): Promise<void> {
  const end = now + seconds * 1_000;
  for (;;) {
    for (let turns = 0; turns < 20; turns++) await turn(); // for what has been begun: nothing of it waits for a network
    const [next] = [...timers].sort(([, one], [, other]) => one.at - other.at);
    if (!next || next[1].at > end) break;
    timers.delete(next[0]);
    now = Math.max(now, next[1].at);
    next[1].work();
  }
  now = end;
}

/** A client at a service that can be away, and when it asked for new tokens, in seconds. */
async function client(mode: AuthOptions["mode"], isAway = false, headers = {}, expires_in = 300) {
  const away = async () => Response.json({ code: "overloaded" }, { status: 503, headers });
  const service = { isAway, away, since: now, asked: [] as number[] };
  let tokens = 0;
  const auth = openTab({
    mode,
    fetch: async (input) => {
      if (String(input).endsWith("/auth/refresh")) service.asked.push(Math.round((now - service.since) / 100) / 10);
      if (service.isAway) return service.away();
      const access_token = `token-${++tokens}`;
      return Response.json({ access_token, refresh_token: `art_${tokens}`, session_id: "1", expires_in });
    },
  });
  await pass(0);
  return { auth, service };
}

async function signedIn(mode: AuthOptions["mode"], headers = {}, expires_in = 300) {
  const { auth, service } = await client(mode, false, headers, expires_in);
  await auth.signIn({ email: "ada@example.com", password: PASSWORD });
  service.isAway = true;
  service.asked.length = 0;
  return { auth, service, refused: await auth.accessToken() };
}

const MODES = ["cookie", "storage", "memory"] as const;

test("a client goes on after 1, 2, 4 and up to 60 seconds, however long an outage lasts", async (t) => {
  for (const mode of MODES) {
    await t.test(mode, async () => {
      const { auth, service, refused } = await signedIn(mode);
      const failed = assert.rejects(auth.accessToken(refused), { code: "unavailable" });
      await pass(400);
      await failed;
      const [, second = 0, ...more] = service.asked;
      assert.equal(second, 0.2);
      const waits = more.map((at, index) => Math.round(at - (service.asked[index + 1] ?? 0)));
      assert.deepEqual(waits.slice(0, 9), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
      service.isAway = false;
      await pass(60);
      assert.notEqual(await auth.accessToken(), refused);
      const renewed = service.asked.length;
      await pass(200);
      assert.equal(service.asked.length, renewed, "and is done");
    });
  }
});

test("a client whose calls all fail, or that nobody calls, comes back within a minute of the service", async (t) => {
  for (const mode of MODES) {
    for (const calls of [0, 1, 10]) {
      for (const outage of [10, 45, 100, 330]) {
        await t.test(`${mode}, ${calls} calls, ${outage} s`, async () => {
          const { auth, service, refused } = await signedIn(mode, {}, 40);
          for (let call = 0; call < calls; call++) {
            auth.accessToken(refused).catch(() => {});
            await pass(0.3);
          }
          await pass(outage);
          service.isAway = false;
          const failed = service.asked.length;
          await pass(60);
          assert(service.asked.length > failed);
          assert.equal(auth.state.status, "signed-in");
        });
      }
    }
  }
});

test("a page that is opened in an outage knows who is signed in within a minute of its end", async () => {
  for (const outage of [20, 45, 330]) {
    const { auth, service } = await client("cookie", true);
    await pass(outage);
    assert.equal(auth.state.status, "unknown");
    service.isAway = false;
    await pass(60);
    assert.equal(auth.state.status, "signed-in", `${outage} s`);
  }
});

test("who is told when to come again comes then, neither sooner nor later", async () => {
  for (const [told, wait] of [
    ["3", 3],
    ["45", 45],
    ["3600", 60],
  ] as const) {
    const { auth, service, refused } = await signedIn("storage", { "Retry-After": told });
    const failed = assert.rejects(auth.accessToken(refused), { retryAfter: Number(told) });
    await pass(5 * wait);
    await failed;
    const times = service.asked.slice(0, 5).map((at) => Math.round(at / wait));
    assert.deepEqual(times, [0, 1, 2, 3, 4], told);
  }
});

test("a gateway says when to come again, too, and nothing counts that is no number of seconds and no date", async (t) => {
  const inTenSeconds = new Date(1_800_000_010_000).toUTCString(); // Fri, 15 Jan 2027
  const wrong = ["3.5", "+5", "-5", "1e3", "0x10", "5 s", "Infinity", "2027-02-01", "2027-02-01T00:00:00Z", "soon", ""];
  for (const [told, wait] of [
    ["7", 7],
    [inTenSeconds, 10],
    [inTenSeconds.replace(/^.{8}(...).../, "Friday, 15-$1-"), 10],
    ...wrong.map((text) => [text, undefined] as const),
  ] as const) {
    await t.test(told, async () => {
      const { auth, service, refused } = await signedIn("storage");
      const headers = { "Retry-After": told };
      const ofTheService = async () => Response.json({ code: "overloaded" }, { status: 503, headers });
      const ofAGateway = async () => new Response("<h1>Maintenance</h1>", { status: 503, headers });
      service.away = wait ? ofAGateway : ofTheService;
      const failed = assert.rejects(auth.accessToken(refused), { code: "unavailable", retryAfter: wait });
      await pass(0.9);
      await failed;
      assert.equal(service.asked.length, wait ? 1 : 2);
    });
  }
});

test("a sign-out takes no longer than one call may, whatever the service does", async (t) => {
  const later = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
  for (const mode of MODES) {
    for (const seconds of [0, 1, 2, 4, 60]) {
      await t.test(`${mode}, ${seconds} s`, async () => {
        const { auth, service } = await signedIn(mode);
        const { away } = service;
        service.away = async () => {
          await later(seconds * 1_000);
          return away();
        };
        const begun = now;
        let taken = 0;
        const failed = assert.rejects(auth.signOut(), { code: "unavailable" }).then(() => {
          taken = now - begun;
        });
        await pass(60);
        await failed;
        assert(taken > 0 && taken <= 5_000, `${taken} ms`);
        assert.equal(auth.state.status, mode === "cookie" ? "signed-in" : "signed-out");
      });
    }
  }
});
