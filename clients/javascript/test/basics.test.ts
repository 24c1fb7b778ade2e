/** What an application does with a session; on the double, and on the service itself. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import { type Auth, AuthError, createAuth } from "auth-service-client";
import { emailOf, openBrowser, openTab, PASSWORD, SERVICE, SharedStorage, signIn, until, withCode } from "./support.js";

test("who signs in is signed in, also by the username, until they sign out", async () => {
  const auth = openTab();
  assert.equal(auth.state.status, "signed-out");
  const username = `u${randomUUID().slice(0, 8)}`;
  await auth.signUp({ email: `${username}@example.com`, username, password: PASSWORD });
  assert.equal(auth.state.status, "signed-out", "an account is no session");
  await auth.signIn({ username, password: PASSWORD });
  assert.equal(auth.state.status, "signed-in");
  assert.equal(await emailOf(auth), `${username}@example.com`);
  await auth.signOut();
  assert.equal(auth.state.status, "signed-out");
  await assert.rejects(auth.accessToken(), withCode("signed-out"));
  await assert.rejects(emailOf(auth), withCode("signed-out"));
});

test("a session outlives the page", async () => {
  const { storage, name, email } = await openBrowser(1);
  const reloaded = openTab({ storage, name });
  assert.equal(reloaded.state.status, "signed-in");
  assert.equal(await emailOf(reloaded), email);
});

test("a session in memory is of one tab, and stored nowhere", async () => {
  const storage = new SharedStorage();
  const [one, other] = [0, 1].map(() => openTab({ mode: "memory", storage, name: "memory" }));
  assert(one && other);
  const email = await signIn(one);
  assert.equal(await emailOf(one), email);
  assert.equal(other.state.status, "signed-out");
  assert.equal(storage.items.size, 0);
});

test("all tabs are signed in by one, and signed out by another", async () => {
  const shared = { storage: new SharedStorage(), name: randomUUID() };
  const tabs = [0, 1, 2, 3].map(() => openTab(shared));
  const heard = tabs.map((tab) => {
    const statuses: string[] = [];
    tab.onChange(({ status }) => statuses.push(status));
    return statuses;
  });
  const email = await signIn(tabs[0] as Auth);
  await until(() => heard.every((statuses) => statuses.at(-1) === "signed-in"));
  for (const tab of tabs) assert.equal(await emailOf(tab), email);
  await tabs[3]?.signOut();
  await until(() => heard.every((statuses) => statuses.at(-1) === "signed-out"));
  for (const statuses of heard) assert.deepEqual(statuses, ["signed-out", "signed-in", "signed-out"]);
});

test("clients of one service with different names are of different users", async () => {
  const storage = new SharedStorage();
  const [one, other] = ["one", "other"].map((name) => openTab({ storage, name }));
  assert(one && other);
  const emails = [await signIn(one), await signIn(other)];
  assert.deepEqual([await emailOf(one), await emailOf(other)], emails);
  await one.signOut();
  assert.equal(await emailOf(other), emails[1]);
  const elsewhere = openTab({ storage, name: "other", url: SERVICE.replace("127.0.0.1", "localhost") });
  assert.equal(elsewhere.state.status, "signed-out", "one name at two services is two sessions");
});

test("a listener hears what is and what comes, once each, until it ends that", async () => {
  const auth = openTab();
  const heard: string[] = [];
  const end = auth.onChange(({ status }) => heard.push(status));
  await signIn(auth);
  await auth.accessToken();
  await auth.signOut();
  await until(() => heard.length === 3);
  end();
  await signIn(auth);
  assert.deepEqual(heard, ["signed-out", "signed-in", "signed-out"]);
});

test("an error has the service's code, status and fields, and no secret", async () => {
  const auth = openTab();
  await assert.rejects(auth.signUp({ email: "nowhere", password: "short" }), (error: AuthError) => {
    assert(error instanceof AuthError);
    assert.deepEqual(
      error.problem?.errors?.map(({ field }) => field),
      ["email", "password"],
    );
    assert.equal(error.status, 422);
    assert.equal(error.code, "validation-error");
    return true;
  });
  const refused = await auth.signIn({ email: "nobody@example.com", password: PASSWORD }).catch((error) => error);
  assert.equal(refused.code, "invalid-credentials");
  assert.equal(refused.status, 401);
  assert(!JSON.stringify([refused, refused.message, refused.stack]).includes(PASSWORD));
});

test("the user sees the sessions, ends one, and all others", async () => {
  const first = openTab();
  const email = await signIn(first);
  const others = [openTab(), openTab()];
  for (const other of others) await other.signIn({ email, password: PASSWORD });
  const { items } = await first.sessions.list({ limit: 10 });
  assert.equal(items.length, 3);
  await first.sessions.end(others[0]?.state.sessionId ?? "");
  assert.equal((await first.sessions.list()).items.length, 2);
  await first.sessions.endOthers();
  assert.deepEqual(
    (await first.sessions.list()).items.map(({ id, current }) => [id, current]),
    [[first.state.sessionId, true]],
  );
});

test("a new password opens a new session, which is kept and told to the other tabs", async () => {
  const { first, tabs, email } = await openBrowser(2);
  const before = first.state.sessionId;
  const body = { current_password: PASSWORD, new_password: `${PASSWORD} again` };
  await first.request("POST", "/auth/me/password", { body });
  assert.notEqual(first.state.sessionId, before);
  await until(() => tabs[1]?.state.sessionId === first.state.sessionId);
  for (const tab of tabs) assert.equal(await emailOf(tab), email);
});

test("any other route is called by its method and path", async () => {
  const auth = openTab();
  const email = await signIn(auth);
  assert.deepEqual((await auth.request("GET", "/auth/me/factors")).items, []);
  const renamed = await auth.request("PATCH", "/auth/me", { body: { username: `u${email.slice(0, 8)}` } });
  assert.equal(renamed.username, `u${email.slice(0, 8)}`);
  assert.equal(await auth.request("DELETE", "/auth/me"), undefined);
  await assert.rejects(auth.signIn({ email, password: PASSWORD }), withCode("invalid-credentials"));
});

test("a browser without passkeys says so, and the service is not asked", async () => {
  const auth = openTab();
  await signIn(auth);
  const sent = auth.sent.length;
  assert.equal(await auth.signInWithPasskey({ autofill: true }), false);
  const calls = [auth.signInWithPasskey, auth.addPasskey, () => auth.stepUp({ passkey: true })];
  for (const call of [...calls, () => auth.secondFactor({}), () => auth.confirmEnrolment({})]) {
    await assert.rejects(call(), withCode("passkeys-unsupported"));
  }
  assert.equal(auth.sent.length, sent);
});

const NOWHERE_SAFE = [
  ...["", "https://", "ftp://auth.example.com", "capacitor://localhost", "file:///auth", "data:,x", "null"],
  ...["http://auth.example.com", "HTTP://auth.example.com", "http://10.0.0.1", "http://0.0.0.0", "http://[::2]"],
  ...["http://localhost@evil.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example"],
  ...["http://evil.example/localhost", "http://evillocalhost", "http://128.0.0.1", "http:evil.example"],
  ...["https://ada:secret@auth.example.com", "https://ada@auth.example.com", "http://ada@localhost"],
  ...["https://auth.example.com?next=1", "https://auth.example.com/?", "https://auth.example.com/#top"],
  "blob:https://auth.example.com/1",
];
const SAFE = [
  ...[
    "https://auth.example.com",
    "https://auth.example.com:8443/base/",
    "HTTPS://AUTH.EXAMPLE.COM",
    "http://localhost",
  ],
  ...[
    "http://localhost:8000",
    "http://auth.localhost:8000",
    "http://127.0.0.1",
    "http://127.9.9.9/",
    "http://[::1]:8000",
  ],
];

test("a password and a token go nowhere but by https, or to this machine", () => {
  for (const address of [...NOWHERE_SAFE, null, undefined, 7] as string[]) {
    assert.throws(() => createAuth({ url: address, mode: "memory" }), TypeError, `url ${address}`);
    assert.throws(() => createAuth({ url: SERVICE, mode: "memory", apis: [address] }), TypeError, `apis ${address}`);
  }
  for (const url of ["127.0.0.1:8000", "/auth"])
    assert.throws(() => createAuth({ url, mode: "memory" }), TypeError, url);
  for (const address of SAFE) createAuth({ url: address, mode: "memory", apis: [address] }).close();
});

test("a network of one's own is taken by http, where one says so", async () => {
  const cluster = "http://auth.internal:8000";
  const sent: string[] = [];
  const answered: typeof fetch = async (input) => {
    sent.push(String(input));
    return new Response();
  };
  const isOwn = { plainHttp: true, apis: ["http://orders.internal"], mode: "memory" as const, fetch: answered };
  const auth = openTab({ ...isOwn, url: cluster });
  await auth.signIn({ email: "ada@example.com", password: PASSWORD }).catch(() => {});
  assert.deepEqual(sent, [`${cluster}/auth/login`]);
  for (const address of NOWHERE_SAFE.filter(
    (address) => !/^https?:\/*[^@]+$/i.test(address) || address.includes("?"),
  )) {
    assert.throws(() => createAuth({ ...isOwn, url: address }), TypeError, address);
  }
  assert.throws(() => createAuth({ ...isOwn, url: cluster, plainHttp: false }), TypeError);
});

test("no id leads to another path", async () => {
  const auth = openTab();
  await signIn(auth);
  const sent = auth.sent.length;
  const nowhere = [
    ".",
    "..",
    "",
    "../me",
    "a/b",
    "..\\me",
    "%2e%2e",
    "%2F",
    "a?b",
    "a#b",
    "\t..",
    " ",
    "\ud800",
    null,
    1,
  ];
  for (const id of [...nowhere, undefined] as string[]) {
    await assert.rejects(auth.sessions.end(id), TypeError, id);
    const params = { factor_id: id };
    await assert.rejects(auth.request("DELETE", "/auth/me/factors/{factor_id}", { params }), TypeError, id);
  }
  await assert.rejects(auth.request("DELETE", "/auth/sessions/{session_id}", {} as never), TypeError);
  assert.equal(auth.sent.length, sent);
  await assert.rejects(auth.sessions.end(randomUUID()), withCode("not-found"));
});

test("wrong options are refused at once", () => {
  for (const none of [undefined, null, {}] as never[]) {
    assert.throws(() => createAuth(none), new TypeError("mode must be one of cookie,storage,memory"));
  }
  const wrong: Record<string, unknown[]> = {
    mode: ["local", undefined],
    timeout: [-1, 0, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, "5", null],
    storage: [{}, null, "localStorage", { getItem() {}, setItem() {} }],
    apis: ["https://api.example.com", null],
    onStepUp: [true, null],
    fetch: [{}, null],
    name: [7, null],
    plainHttp: [1, "true", null],
    apiz: [[], undefined],
  };
  for (const [option, values] of Object.entries(wrong)) {
    for (const value of values) {
      const options = { url: SERVICE, mode: "memory" as const, [option]: value };
      assert.throws(() => createAuth(options), TypeError, `${option}: ${JSON.stringify(value)}`);
    }
  }
});
