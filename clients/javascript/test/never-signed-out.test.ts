/**
 * Ten hours of twenty tabs, at a service that loses answers, is killed and has another clock: nobody is signed out
 * until one tab signs out.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Auth, AuthError } from "auth-service-client";
import { Locks, setLocks, withCookies } from "./browser.js";
import { Double } from "./double.js";
import {
  emailOf,
  type Fault,
  openTab,
  SharedStorage,
  setClock,
  signIn,
  sleep,
  switchFaults,
  type TabOptions,
  until,
} from "./support.js";

const STEPS = 15;
const STEP = 40 * 60; // seconds
// The client never got the answer, and slept past the grace.
const ASLEEP: Fault = { fault: "lose-answer", jump: 600 };
const TIRED = { share: 0.2, times: null };
const FAULTS: Fault[] = [
  { fault: "lose-answer", ...TIRED },
  { fault: "lose-request", ...TIRED },
  { fault: "unavailable", seconds: 0, ...TIRED },
  { fault: "lose-answer", route: "GET /auth/me", ...TIRED },
];
const ORIGIN = "http://localhost:3000";

/** Numbers from 0 to 1 that are the same in each run. */
function chances(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Ask for the account, and say what came of it. */
async function asked(tab: Auth): Promise<string> {
  return emailOf(tab).then(
    () => "known",
    (error: AuthError) => error.code ?? error,
  );
}

/** Tabs that share one session. */
class Browser {
  readonly tabs: Auth[] = [];
  readonly #options: TabOptions;

  constructor(options: TabOptions, count: number) {
    this.#options = { storage: new SharedStorage(), timeout: 2_000, ...options };
    for (let tab = 0; tab < count; tab++) this.open();
  }

  open(): Auth {
    const tab = openTab(this.#options);
    this.tabs.push(tab);
    return tab;
  }

  /** Load one of the tabs again, whatever it is doing. */
  reload(): Auth {
    this.tabs.shift()?.close();
    return this.open();
  }
}

const folder = await mkdtemp(join(tmpdir(), "double-"));
const port = await freePort();
const double = new Double([`--port=${port}`, `--file=${join(folder, "double.db")}`, `--origin=${ORIGIN}`]);
await double.start("--seed=1");
after(async () => {
  await double.kill();
  await rm(folder, { recursive: true });
});

test("twenty tabs are never signed out until one signs out", async () => {
  const { url } = double;
  const chance = chances(1);
  const browsers = [
    new Browser({ url, name: "storage", mode: "storage" }, 12),
    new Browser({ url, name: "cookie", mode: "cookie", fetch: withCookies(ORIGIN) }, 8),
  ];
  const everyTab = () => browsers.flatMap(({ tabs }) => tabs);
  for (const { tabs } of browsers) await signIn(tabs[0] as Auth);
  const seen: string[] = [];
  let now = 0;
  let skew = 0;
  for (let step = 0; step < STEPS; step++) {
    setLocks(step % 3 ? new Locks() : undefined);
    if (step % 6 === 5) {
      await double.kill();
      seen.push(...(await Promise.all(browsers.map(({ tabs }) => asked(tabs[0] as Auth)))));
      await double.start(`--seed=${step}`);
    }
    now += STEP + 600;
    sleep(STEP + 600 - skew);
    skew = Math.round(chance() * 2 - 1) * 600; // seconds that this machine's clock is wrong
    sleep(skew);
    await setClock(now, url);
    for (const { tabs } of step % 2 ? browsers : []) {
      await switchFaults([ASLEEP], url);
      seen.push(await asked(tabs[step % tabs.length] as Auth));
    }
    await switchFaults(
      FAULTS.filter(() => chance() < 0.7),
      url,
    );
    const answers = everyTab().map(asked);
    const reloaded = chance() < 0.5 ? browsers.map((browser) => browser.reload()) : [];
    seen.push(...(await Promise.all([...answers, ...reloaded.map(asked)])));
    const wrong = seen.filter((what) => what !== "known" && what !== "unavailable");
    assert.deepEqual(wrong, [], `in step ${step}`);
  }
  await switchFaults([], url);
  assert.deepEqual(new Set(await Promise.all(everyTab().map(asked))), new Set(["known"]));
  assert(seen.filter((what) => what === "known").length > seen.length / 2);
  for (const { tabs } of browsers) {
    await tabs[3]?.signOut();
    await until(() => tabs.every(({ state }) => state.status === "signed-out"), 2);
  }
});
