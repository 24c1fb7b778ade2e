/** Passkeys, as the browser knows them (WebAuthn level 3). */

import { AuthError } from "./errors.js";

/** What the service asks the browser for. */
export interface Asked {
  challenge: string;
  public_key: { [member: string]: unknown };
}

/** What the service is sent. */
export interface Proof {
  challenge: string;
  // biome-ignore lint/suspicious/noExplicitAny: what toJSON() gives is what the service takes
  credential: any;
}

/** Throw `passkeys-unsupported` where there are none: before the service is asked for what nobody can answer. */
export function requirePasskeys(): void {
  if (!globalThis.PublicKeyCredential?.parseRequestOptionsFromJSON) {
    throw new AuthError("passkeys-unsupported", "This browser cannot use passkeys.");
  }
}

let waiting: AbortController | undefined;

/** A browser asks for one passkey at a time: end what waits for one, such as the autofill of a form. */
function only(): AbortSignal {
  waiting?.abort();
  waiting = new AbortController();
  return waiting.signal;
}

export function sign({ challenge, public_key }: Asked, mediation?: CredentialMediationRequirement): Promise<Proof> {
  return prove(challenge, (signal) => {
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(public_key as any);
    return navigator.credentials.get({ publicKey, signal, ...(mediation && { mediation }) });
  });
}

export function create({ challenge, public_key }: Asked): Promise<Proof> {
  return prove(challenge, (signal) => {
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(public_key as any);
    return navigator.credentials.create({ publicKey, signal });
  });
}

async function prove(challenge: string, ask: (signal: AbortSignal) => Promise<Credential | null>): Promise<Proof> {
  requirePasskeys();
  const credential = (await ask(only())) as PublicKeyCredential;
  return { challenge, credential: credential.toJSON() };
}

/** Wait until the user picks a passkey from the autofill of a form; undefined if that is not possible or was ended. */
export async function signByAutofill(
  options: () => Promise<Asked & { expires_in: number }>,
  until: AbortSignal,
): Promise<Proof | undefined> {
  if (!(await globalThis.PublicKeyCredential?.isConditionalMediationAvailable?.())) return undefined;
  for (;;) {
    const asked = await options();
    if (until.aborted) return undefined;
    const proof = sign(asked, "conditional");
    const current = waiting as AbortController; // of this proof
    const end = () => current.abort();
    until.addEventListener("abort", end, { signal: current.signal });
    let isOld = false;
    const renew = () => {
      isOld = true;
      end();
    };
    const renewal = setTimeout(renew, (asked.expires_in - 30) * 1_000); // before the challenge is too old
    try {
      return await proof;
    } catch (error) {
      if (!current.signal.aborted) throw error;
      if (!isOld) return undefined;
    } finally {
      clearTimeout(renewal);
    }
  }
}

/** Let the browser offer a passkey no more that is good for nothing. */
export function forget(rpId: unknown, credentialId: unknown): void {
  // biome-ignore lint/suspicious/noExplicitAny: newer than the types
  (PublicKeyCredential as any).signalUnknownCredential?.({ rpId, credentialId })?.catch(() => {});
}
