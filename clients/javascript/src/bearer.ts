/** The access token on requests: with another one if it is refused, or if an API wants to be surer who it is. */

import type { Session } from "./session.js";

/** What an API asks for before it answers (RFC 9470). */
export interface StepUpChallenge {
  /** Which kinds of sign-in will do: `aal1` a password, `aal2` a second factor, `phr` a passkey. */
  acrValues: string[];
  /** How many seconds ago it may have been, if that matters. */
  maxAge?: number;
}

/** Asks the user, calls `stepUp()`, and returns whether it has done so: `false` leaves the answer as it is. */
export type StepUpHook = (challenge: StepUpChallenge) => Promise<boolean> | boolean;

/** Send a request with the session's access token; once more with a new one, and once more after a step-up. */
export async function withToken(
  session: Session,
  send: (token: string) => Promise<Response>,
  onStepUp: StepUpHook | undefined,
): Promise<Response> {
  const token = await session.accessToken();
  let response = await send(token);
  const sendAgain = async (refused?: string) => {
    response.body?.cancel().catch(() => {});
    response = await send(await session.accessToken(refused));
  };
  // By RFC 6750; an API of another origin may not let a page read the header, and then only trying tells.
  if (/error="?invalid_token|^$/.test(refusalIn(response))) await sendAgain(token);
  const challenge = stepUpAsked(refusalIn(response));
  if (challenge && (await onStepUp?.(challenge))) await sendAgain();
  return response;
}

/** What a 401 says, if it says anything. */
function refusalIn({ status, headers }: Response): string {
  return status === 401 ? (headers.get("WWW-Authenticate") ?? "") : "none";
}

function stepUpAsked(asked: string): StepUpChallenge | undefined {
  if (!asked.includes("insufficient_user_authentication")) return undefined;
  const acrValues = /acr_values="([^"]*)"/.exec(asked)?.[1]?.split(" ") ?? [];
  const maxAge = /max_age="?(\d+)/.exec(asked)?.[1];
  return { acrValues, ...(maxAge && { maxAge: +maxAge }) };
}
