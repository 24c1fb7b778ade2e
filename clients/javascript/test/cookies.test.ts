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
