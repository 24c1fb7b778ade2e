/** Second factors, of accounts that must have one: on a double of the test's own. */

import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { after, test } from "node:test";
import type { AuthError } from "auth-service-client";
import { Double } from "./double.js";
import { emailOf, openTab, PASSWORD, setClock, sleep, until, withCode } from "./support.js";

const double = new Double(["--port=0", "--set=AUTH_FACTORS__REQUIRED_ROLES=user"]);
await double.start();
after(() => double.kill());

/** A code of an authenticator app (RFC 6238). */
function codeOf(secret: string): string {
  const bits = [...secret].map((letter) =>
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0"),
  );
  const key = Buffer.from(
    bits
      .join("")
      .match(/.{8}/g)
      ?.map((byte) => Number.parseInt(byte, 2)) ?? [],
  );
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)));
  const digest = createHmac("sha1", key).update(counter).digest();
  const offset = (digest.at(-1) ?? 0) & 15;
  return String((digest.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, "0");
}

test("who must add a factor is told so, adds it, and is asked for it from then on", async () => {
  const auth = openTab({ url: double.url });
  const account = { email: `${randomUUID()}@example.com`, password: PASSWORD };
  await auth.signUp(account);
  const refused: AuthError = await auth.signIn(account).catch((error) => error);
  assert.equal(refused.code, "second-factor-enrolment-required");
  assert.deepEqual(refused.problem?.methods, ["totp"]);
  assert.equal(auth.state.status, "signed-out");
  const begun = await auth.enrol(refused);
  assert("secret" in begun);
  const recoveryCodes = await auth.confirmEnrolment(begun, codeOf(String(begun.secret)));
  assert.equal(recoveryCodes.length, 10);
  assert.equal(await emailOf(auth), account.email);

  await auth.signOut();
  const asked: AuthError = await auth.signIn(account).catch((error) => error);
  assert.equal(asked.code, "second-factor-required");
  assert.deepEqual(new Set(asked.problem?.methods), new Set(["totp", "recovery_code"]));
  for (const call of [auth.secondFactor, auth.confirmEnrolment]) {
    await assert.rejects(call(asked, null as never), TypeError, "a prompt that was cancelled");
  }
  assert.deepEqual(
    auth.sent.map(({ path }) => path).filter((path) => /second-factor|confirm/.test(path)),
    ["/auth/login/enrol/confirm"],
  );
  await assert.rejects(auth.secondFactor(asked.problem ?? {}, "000000"), withCode("invalid-second-factor"));
  assert.equal(auth.state.status, "signed-out");
  await auth.secondFactor(asked, recoveryCodes[0]);
  assert.equal(await emailOf(auth), account.email);

  await auth.stepUp({ code: recoveryCodes[1] ?? "" });
  sleep(60);
  await setClock(60, double.url);
  const renewed = await auth.request("POST", "/auth/me/recovery-codes");
  assert.equal(renewed.recovery_codes.length, 10);
});

test("a form that offers passkeys for a day keeps nothing of the challenges that have passed", async () => {
  const listening = new Map<EventTarget, number>();
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  const count = (target: EventTarget, event: string, by: number) =>
    event === "abort" && listening.set(target, (listening.get(target) ?? 0) + by);
  EventTarget.prototype.addEventListener = function (event: string, ...more: [never]) {
    count(this, event, 1);
    addEventListener.call(this, event, ...more);
  };
  EventTarget.prototype.removeEventListener = function (event: string, ...more: [never]) {
    count(this, event, -1);
    removeEventListener.call(this, event, ...more);
  };
  let offered = 0;
  const get = ({ signal }: { signal: AbortSignal }) => {
    offered++;
    return new Promise((_, reject) => {
      signal.onabort = () => reject(signal.reason);
    });
  };
  const PublicKeyCredential = {
    isConditionalMediationAvailable: async () => true,
    parseRequestOptionsFromJSON: (options: unknown) => options,
  };
  Object.assign(globalThis, { PublicKeyCredential });
  Object.defineProperty(globalThis, "navigator", { value: { credentials: { get } }, configurable: true });
  const send: typeof fetch = async () => Response.json({ challenge: "x", public_key: {}, expires_in: 30.005 });
  const auth = openTab({ url: double.url, mode: "memory", fetch: send });
  const waits = auth.signInWithPasskey({ autofill: true });
  await until(() => offered > 9);
  assert(Math.max(...listening.values()) <= 2, String([...listening.values()]));
  auth.close();
  assert.equal(await waits, false);
  Object.assign(EventTarget.prototype, { addEventListener, removeEventListener });
  Reflect.deleteProperty(globalThis, "PublicKeyCredential");
  Reflect.deleteProperty(globalThis, "navigator");
});
