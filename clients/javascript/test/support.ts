/** What the tests share: the service's address, tabs of a browser, and switches of the double. */

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after } from "node:test";
import { type Auth, type AuthError, type AuthOptions, createAuth, type SimpleStorage } from "auth-service-client";

/** The service, or its double. */
export const SERVICE = process.env.AUTH_URL ?? "http://127.0.0.1:9000";
export const PASSWORD = "correct horse battery staple";

const open = new Set<Auth>();
const clock = Date.now;
let slept = 0;
Date.now = () => clock() + slept;

after(() => {
  for (const auth of open) auth.close();
});

/** A `localStorage` of several tabs. */
export class SharedStorage implements SimpleStorage {
  readonly items = new Map<string, string>();

  getItem(name: string): string | null {
    return this.items.get(name) ?? null;
  }

  setItem(name: string, value: string): void {
    this.items.set(name, value);
  }

  removeItem(name: string): void {
    this.items.delete(name);
  }
}

/** The options of a client, any of them, also those that do not go together. */
export type TabOptions = Partial<Omit<AuthOptions, "mode" | "storage">> & {
  mode?: "cookie" | "storage" | "memory";
  storage?: SimpleStorage;
};

/** A request that was sent, without what is secret of it. */
export interface Sent {
  path: string;
  headers: Headers;
}

/** A tab: a client that remembers what it sent. Tabs with one storage and name are of one browser. */
export function openTab(options: TabOptions = {}): Auth & { sent: Sent[] } {
  const sent: Sent[] = [];
  const send: typeof fetch = async (input, init) => {
    const { url, headers } = input instanceof Request ? input : new Request(input, init);
    sent.push({ path: new URL(url).pathname, headers });
    return (options.fetch ?? fetch)(input, init);
  };
  const auth = createAuth({
    url: SERVICE,
    mode: "storage",
    name: randomUUID(),
    ...options,
    fetch: send,
  } as AuthOptions);
  open.add(auth);
  return Object.assign(auth, { sent });
}

/** Tabs of one browser, the first of which is signed in. */
export async function openBrowser<Count extends number>(count: Count, options: TabOptions = {}) {
  const shared = { storage: new SharedStorage(), name: randomUUID(), ...options };
  const tabs = Array.from({ length: count }, () => openTab(shared));
  const [first] = tabs;
  assert(first);
  const email = await signIn(first);
  await until(() => tabs.every((tab) => tab.state.status === "signed-in"));
  return { first, tabs, email, ...shared };
}

/** Register somebody, sign them in, and return the e-mail address. */
export async function signIn(auth: Auth): Promise<string> {
  const email = `${randomUUID()}@example.com`;
  await auth.signUp({ email, password: PASSWORD });
  await auth.signIn({ email, password: PASSWORD });
  return email;
}

export async function emailOf(auth: Auth): Promise<string> {
  return (await auth.request("GET", "/auth/me")).email;
}

export async function until(check: () => boolean, seconds = 2): Promise<void> {
  const deadline = performance.now() + seconds * 1_000;
  while (!check()) {
    assert(performance.now() < deadline, "it did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The keys of the refreshes that a tab has sent. */
export function keysOf(tab: { sent: Sent[] }): (string | null)[] {
  return tab.sent.filter(({ path }) => path === "/auth/refresh").map(({ headers }) => headers.get("Idempotency-Key"));
}

/** Matches an `AuthError` with this code. */
export function withCode(code: string) {
  return (error: AuthError) => {
    assert.equal(error.name, "AuthError");
    assert.equal(error.code, code);
    return true;
  };
}

/** Let this machine's clock go ahead, as while it sleeps; timers know nothing of it. */
export function sleep(seconds: number): void {
  slept += seconds * 1_000;
}

export interface Fault {
  fault: "lose-request" | "lose-answer" | "delay" | "delay-answer" | "unavailable";
  route?: string;
  times?: number | null;
  share?: number;
  seconds?: number;
  jump?: number;
}

/** Switch these faults of the double on, and all others off. */
export async function switchFaults(faults: Fault[], url = SERVICE): Promise<void> {
  await put("faults", faults, url);
}

/** Let the double's clock be so many seconds ahead of the real one. */
export async function setClock(ahead: number, url = SERVICE): Promise<void> {
  await put("clock", { ahead }, url);
}

async function put(what: string, body: unknown, url: string): Promise<void> {
  const answer = await fetch(`${url}/double/${what}`, { method: "PUT", body: JSON.stringify(body) });
  assert.equal(answer.status, 204);
}
