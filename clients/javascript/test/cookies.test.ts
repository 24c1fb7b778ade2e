/** The refresh token in a cookie, and the lock of several tabs: on the double, with what a browser has. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { afterEach, test } from "node:test";
import { Locks, setLocks, withCookies } from "./browser.js";
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

const TIMEOUT = 500;

afterEach(async () => {
  setLocks(undefined);
  await switchFaults([]);
  await setClock(0);
});

function cookieBrowser() {
  return { mode: "cookie" as const, fetch: withCookies(new URL(SERVICE).origin), timeout: TIMEOUT };
}

test("no token is stored, and a page that is loaded again asks whether somebody is signed in", async () => {
  const options = { ...cookieBrowser(), storage: new SharedStorage(), name: randomUUID() };
  const first = openTab(options);
  assert.equal(first.state.status, "unknown");
  await until(() => first.state.status === "signed-out");
  const email = await signIn(first);
  assert(!/eyJ|art_/.test([...options.storage.items.values()].join()));
  const reloaded = openTab(options);
  assert.equal(reloaded.state.status, "unknown");
  assert.equal(await emailOf(reloaded), email);
  await reloaded.signOut();
  await until(() => first.state.status === "signed-out");
  const again = openTab(options);
  assert.equal(again.state.status, "unknown", "another site may have signed somebody in");
  await assert.rejects(emailOf(again), withCode("signed-out"));
});

test("one tab renews the token, and all others take it", async () => {
  setLocks(new Locks());
  const { tabs } = await openBrowser(5, cookieBrowser());
  const before = tabs.reduce((count, tab) => count + keysOf(tab).length, 0);
  sleep(310);
  const tokens = new Set(await Promise.all(tabs.map((tab) => tab.accessToken())));
  assert(tabs.reduce((count, tab) => count + keysOf(tab).length, 0) - before <= 2);
  assert(tokens.size <= 2);
});

test("a page whose first question is lost does not know, and asks again", async () => {
  const { first: _first, tabs: _tabs, email, ...options } = await openBrowser(1, cookieBrowser());
  await switchFaults([{ fault: "unavailable", seconds: 1, times: 1 }]);
  const reloaded = openTab(options);
  await assert.rejects(reloaded.accessToken(), withCode("unavailable"));
  assert.equal(reloaded.state.status, "unknown");
  await until(() => reloaded.state.status === "signed-in", 4);
  assert.equal(await emailOf(reloaded), email);
});

test("a sign-out that the service does not hear of signs nobody out", async () => {
  const { first, email } = await openBrowser(1, cookieBrowser());
  await switchFaults([{ fault: "lose-request", route: "POST /auth/logout", times: null }]);
  await assert.rejects(first.signOut(), withCode("unavailable"));
  assert.equal(await emailOf(first), email);
});

test("a sign-out with a cookie is asked for up to three times, and only 204 is one", async () => {
  const options = { ...cookieBrowser(), timeout: 5_000 };
  const { first, tabs } = await openBrowser(1, options);
  const outs = () => first.sent.filter(({ path }) => path === "/auth/logout").length;
  await switchFaults([{ fault: "unavailable", route: "POST /auth/logout", seconds: 3, times: 2 }]);
  await first.signOut();
  assert.equal(outs(), 3);
  assert.equal(options.fetch.cookie(), "");
  assert.equal(tabs[0]?.state.status, "signed-out");
});

test("a 200 is no sign-out, whatever it says, in any mode", async () => {
  for (const mode of ["cookie", "storage"] as const) {
    for (const body of ["{}", "<html>", '{"status":"ok"}']) {
      const { fetch: send, ...options } = cookieBrowser();
      const between: typeof fetch = async (input, init) =>
        String(input).endsWith("/auth/logout") ? new Response(body) : send(input, init);
      const { first } = await openBrowser(1, { ...options, timeout: 5_000, mode, fetch: between });
      await assert.rejects(first.signOut(), withCode("unavailable"));
      assert.equal(first.sent.filter(({ path }) => path === "/auth/logout").length, 3);
      assert.equal(first.state.status, mode === "cookie" ? "signed-in" : "signed-out");
    }
  }
});

test("a sign-out whose answers are all lost is one: the client looks again", async () => {
  const { first } = await openBrowser(1, { ...cookieBrowser(), timeout: 5_000 });
  await switchFaults([{ fault: "lose-answer", route: "POST /auth/logout", times: 3 }]);
  await first.signOut();
  assert.equal(first.state.status, "signed-out");
});

test("another user's sign-in reaches all tabs, and one that was frozen finds out", async () => {
  const page = Object.assign(new EventTarget(), { visibilityState: "visible" });
  const options = { ...cookieBrowser(), storage: new SharedStorage(), name: randomUUID() };
  Object.assign(globalThis, { document: page });
  const frozen = openTab({ ...options, name: `${options.name} frozen` }); // it hears nothing
  Reflect.deleteProperty(globalThis, "document");
  const email = await signIn(frozen);
  const tab = openTab(options);
  assert.equal(await emailOf(tab), email);
  const other = await signIn(tab);
  assert.equal(await emailOf(frozen), email);
  page.dispatchEvent(new Event("resume"));
  await until(() => frozen.state.sessionId === tab.state.sessionId);
  assert.equal(await emailOf(frozen), other);
});

// Milliseconds after the sign-out that the newer sign-in begins, and for how many seconds its answer is late.
const NEWER = [
  { hasLocks: true, isSameTab: true, begins: 50, late: 0 },
  { hasLocks: true, isSameTab: false, begins: 300, late: 0 },
  { hasLocks: true, isSameTab: false, begins: 100, late: 0.4 },
  { hasLocks: false, isSameTab: true, begins: 300, late: 0 },
  { hasLocks: false, isSameTab: false, begins: 50, late: 0 },
];

test("a sign-out that failed at first ends no newer sign-in, and says that its session may go on", async (t) => {
  for (const { hasLocks, isSameTab, begins, late } of NEWER) {
    await t.test(JSON.stringify({ hasLocks, isSameTab, begins, late }), async () => {
      setLocks(hasLocks ? new Locks() : undefined);
      const { first, tabs, email } = await openBrowser(2, { ...cookieBrowser(), timeout: 5_000 });
      const { sessionId } = first.state;
      const newer = { email: `${randomUUID()}@example.com`, password: PASSWORD };
      await first.signUp(newer);
      await switchFaults([
        { fault: "unavailable", route: "POST /auth/logout", seconds: 3, times: 2 },
        { fault: "delay-answer", route: "POST /auth/login", seconds: late },
      ]);
      const out = assert.rejects(first.signOut(), withCode("unavailable"));
      await new Promise((resolve) => setTimeout(resolve, begins));
      await (isSameTab ? first : tabs[1])?.signIn(newer);
      await out;
      for (const one of tabs) assert.equal(await emailOf(one), newer.email);
      const elsewhere = openTab();
      await elsewhere.signIn({ email, password: PASSWORD });
      const { items } = await elsewhere.sessions.list();
      assert(items.some(({ id }) => id === sessionId));
    });
  }
});

test("a sign-out that a page repeats ends the session", async () => {
  const { first, tabs } = await openBrowser(2, { ...cookieBrowser(), timeout: 5_000 });
  await switchFaults([{ fault: "unavailable", route: "POST /auth/logout", seconds: 3, times: 3 }]);
  await assert.rejects(first.signOut(), withCode("unavailable"));
  await first.signOut();
  await until(() => tabs.every(({ state }) => state.status === "signed-out"));
});

/** Tabs that share a cookie, and a way to hold back the answer of the first one's next refresh: a frozen tab does not end
 * a request, and its browser takes the cookie of a late answer all the same. */
async function openFrozenBrowser() {
  const { fetch: send, ...options } = cookieBrowser();
  const shared = { ...options, storage: new SharedStorage(), name: randomUUID() };
  let release = () => {};
  let held: Promise<void> | undefined;
  const holdingBack: typeof fetch = async (input, init) => {
    const isHeld = held && String(input).endsWith("/auth/refresh");
    if (!isHeld) return send(input, init);
    const until = held;
    held = undefined;
    const answer = send.ask(input, { ...init, signal: null });
    await until;
    return send.keep(await answer);
  };
  const frozen = openTab({ ...shared, fetch: holdingBack });
  const tab = openTab({ ...shared, fetch: send });
  const email = await signIn(frozen);
  await until(() => tab.state.status === "signed-in");
  held = new Promise((resolve) => {
    release = resolve;
  });
  sleep(310);
  const before = keysOf(frozen).length;
  const answered = frozen.accessToken().catch((error) => error);
  await until(() => keysOf(frozen).length > before);
  return { frozen, tab, email, answered, release, send, shared };
}

test("a late cookie that replaces the one of a newer sign-in is noticed at once, and all tabs agree with it", async () => {
  const { frozen, tab, email, answered, release } = await openFrozenBrowser();
  await signIn(tab);
  const newer = tab.state.sessionId;
  await until(() => frozen.state.status === "signed-in" && frozen.state.sessionId === newer);
  release();
  await answered;
  await until(() => tab.state.sessionId !== newer && tab.state.sessionId === frozen.state.sessionId);
  for (const one of [tab, frozen]) assert.equal(await emailOf(one), email);
});

test("a late cookie of a session that was signed out before the newer sign-in leaves no tab in a session of nobody", async () => {
  const { frozen, tab, answered, release } = await openFrozenBrowser();
  await tab.signOut();
  await signIn(tab);
  await until(() => frozen.state.status === "signed-in" && frozen.state.sessionId === tab.state.sessionId);
  release();
  await answered;
  await until(() => [tab, frozen].every(({ state }) => state.status === "signed-out"));
});

test("a late cookie that comes after a sign-out is deleted again", async () => {
  const { frozen, tab, answered, release, send } = await openFrozenBrowser();
  await tab.signOut();
  assert.equal(send.cookie(), "");
  release();
  await answered;
  assert.notEqual(send.cookie(), "", "the late answer has one");
  await until(() => send.cookie() === "");
  for (const one of [tab, frozen]) assert.equal(one.state.status, "signed-out");
});

test("a late end of a sign-out signs nobody out who has signed in meanwhile, and whose cookie is there", async () => {
  const { fetch: send, ...options } = cookieBrowser();
  const shared = { ...options, timeout: 5_000, storage: new SharedStorage(), name: randomUUID() };
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const late: typeof fetch = async (input, init) => {
    const isHeld = String(input).endsWith("/auth/logout");
    const answer = await send(input, isHeld ? { ...init, signal: null } : init);
    if (isHeld) await held; // the cookie is deleted in time, and the tab hears of it when it wakes
    return answer;
  };
  const [frozen, tab] = [openTab({ ...shared, fetch: late }), openTab({ ...shared, fetch: send })];
  await signIn(frozen);
  const out = frozen.signOut();
  await until(() => send.cookie() === "");
  const email = await signIn(tab);
  release();
  await out;
  for (const one of [tab, frozen]) assert.equal(await emailOf(one), email);
});

test("a late cookie of a sign-in that a frozen tab took for lost is noticed when it goes on", async () => {
  const { fetch: send, ...options } = cookieBrowser();
  const shared = { ...options, timeout: 5_000, storage: new SharedStorage(), name: randomUUID() };
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  let isFrozen = false;
  const late: typeof fetch = async (input, init) => {
    if (!isFrozen || !String(input).endsWith("/auth/login")) return send(input, init);
    const answer = await send.ask(input, init);
    await held;
    send.keep(answer);
    throw new TypeError("the tab was frozen for longer than a call may take");
  };
  const [frozen, tab] = [openTab({ ...shared, fetch: late }), openTab({ ...shared, fetch: send })];
  const email = await signIn(frozen);
  await frozen.signOut();
  isFrozen = true;
  const signedIn = frozen.signIn({ email, password: PASSWORD });
  await until(() => frozen.sent.filter(({ path }) => path === "/auth/login").length === 2);
  await signIn(tab);
  const newer = tab.state.sessionId;
  release();
  await assert.rejects(signedIn, withCode("unavailable"));
  await until(() => tab.state.sessionId !== newer && tab.state.sessionId === frozen.state.sessionId);
  for (const one of [tab, frozen]) assert.equal(await emailOf(one), email);
});

test("a tab that is frozen in a refresh keeps the others waiting for a second more than a call", async () => {
  const locks = new Locks();
  setLocks(locks);
  const { first, tabs, name, email } = await openBrowser(2, cookieBrowser());
  void locks.request(`auth-service cookie ${SERVICE} ${name}`, {}, () => new Promise(() => {})).catch(() => {});
  sleep(310);
  const asked = performance.now();
  const awake = setTimeout(() => {}, 10_000); // the limit of a wait alone keeps Node from no end
  await Promise.all(tabs.map((tab) => tab.accessToken()));
  const waited = performance.now() - asked;
  assert(waited > TIMEOUT && waited < 2 * (TIMEOUT + 1_000) + 500, `${waited} ms`);
  await first.signIn({ email, password: PASSWORD });
  clearTimeout(awake);
  assert(performance.now() - asked < waited + 500, "the lock is free again");
});
