/** How a user gets in: by password, second factor and passkey; and how they prove again who they are. */

import { AuthError, type Problem } from "./errors.js";
import { insist } from "./options.js";
import { type Asked, create, forget, type Proof, requirePasskeys, sign, signByAutofill } from "./passkeys.js";
import type { Request } from "./request.js";
import type { Schemas } from "./routes.js";
import type { Session } from "./session.js";

/** Who signs in: one of the two names, and the password. */
export type Credentials = { password: string } & (
  | { email: string; username?: never }
  | { username: string; email?: never }
);

/** How the user proves again who it is: one of the three. */
export type Proofs =
  | { password: string; code?: never; passkey?: never }
  | { code: string; password?: never; passkey?: never }
  | { passkey: true; password?: never; code?: never };

/** What the second step answers: the error that asked for it, or what is kept of its `problem`. */
export type SecondStep = AuthError | Pick<Problem, "challenge" | "public_key">;

function askedBy(step: SecondStep): Asked {
  const { challenge = "", public_key = {} } = step instanceof AuthError ? (step.problem ?? {}) : step;
  return { challenge, public_key };
}

/** A code of an app or a recovery code; without one, the passkey that `byPasskey` asks the browser for. */
async function proofOf(
  step: SecondStep,
  code: string | undefined,
  byPasskey: (asked: Asked) => Promise<Proof>,
): Promise<Proof | { challenge: string; code: string }> {
  const asked = askedBy(step);
  if (code === undefined) return byPasskey(asked);
  // A prompt that was cancelled gives null.
  insist(typeof code === "string", "code must be a string");
  return { challenge: asked.challenge, code };
}

export function signInsOf(request: Request, session: Session) {
  return {
    /** Register an account; nobody is signed in by that. */
    signUp: (account: Schemas["RegisterBody"]) => request("POST", "/auth/register", { body: account }),

    /**
     * Sign in. The code `second-factor-required` means that the password is right: call `secondFactor(error)`.
     * With `second-factor-enrolment-required` the account must add a factor first: `enrol(error)`.
     */
    async signIn(credentials: Credentials): Promise<void> {
      await request("POST", "/auth/login", { body: credentials });
    },

    /** Finish a sign-in, with a code, or without one by the passkey of the account. */
    async secondFactor(asked: SecondStep, code?: string): Promise<void> {
      await request("POST", "/auth/login/second-factor", { body: await proofOf(asked, code, sign) });
    },

    /** Begin to add the factor that an account must have: `secret` of an app, or `public_key` of a passkey. */
    async enrol(asked: SecondStep) {
      const { challenge } = askedBy(asked);
      return { challenge, ...(await request("POST", "/auth/login/enrol", { body: { challenge } })) };
    },

    /** Finish that sign-in with the app's first code, or with the passkey of `public_key`; return recovery codes. */
    async confirmEnrolment(begun: SecondStep, code?: string): Promise<string[]> {
      const body = await proofOf(begun, code, create);
      const { recovery_codes } = await request("POST", "/auth/login/enrol/confirm", { body });
      return recovery_codes ?? [];
    },

    /**
     * Sign in with a passkey; with `autofill` once the user picks one in a form (`autocomplete="username webauthn"`).
     * Return false if the browser has no autofill of passkeys, another request for one took its place, or somebody
     * signed in by other means.
     */
    async signInWithPasskey({ autofill = false } = {}): Promise<boolean> {
      let asked: Asked | undefined;
      const options = async () => {
        const fresh = await request("POST", "/auth/passkeys/options", { body: {} });
        asked = fresh;
        return fresh;
      };
      if (!autofill) requirePasskeys();
      const proof = autofill ? await signByAutofill(options, session.untilSignedIn()) : await sign(await options());
      if (!proof) return false;
      await request("POST", "/auth/passkeys/login", { body: proof }).catch((error) => {
        if (error.problem?.unknown_credential) forget(asked?.public_key.rpId, proof.credential.id);
        throw error;
      });
      return true;
    },

    /** Add a passkey to the account; with its first factor there are `recovery_codes` to show, and a new session. */
    async addPasskey(name?: string) {
      requirePasskeys();
      const proof = await create(await request("POST", "/auth/me/passkeys/options"));
      return request("POST", "/auth/me/passkeys", { body: { ...proof, ...(name && { name }) } });
    },

    /**
     * Prove again who it is, by password, code, or else by passkey. What this tab sends for the next minutes then has
     * the access token of this proof.
     */
    async stepUp(proof: Proofs): Promise<void> {
      const isPasskey = "passkey" in proof;
      if (isPasskey) requirePasskeys();
      const body = isPasskey ? await sign(await request("POST", "/auth/step-up/options")) : proof;
      const { access_token, expires_in } = await request("POST", "/auth/step-up", { body });
      session.stepUp(access_token, expires_in);
    },
  };
}
