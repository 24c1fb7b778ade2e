/** The client: `createAuth()`, and what it returns. */

import { withToken } from "./bearer.js";
import { AuthError } from "./errors.js";
import type { Kept } from "./kept.js";
import { type AuthOptions, checked } from "./options.js";
import { requestOf } from "./request.js";
import { type AuthState, Session } from "./session.js";
import { signInsOf } from "./sign-in.js";
import { attempt, Store } from "./store.js";
import { type Fetch, Transport, unlessAborted } from "./transport.js";
import { onWakeUp } from "./wakeups.js";

export type { StepUpChallenge, StepUpHook } from "./bearer.js";
export type { ErrorCode, Problem } from "./errors.js";
export type { Status } from "./kept.js";
export type { AuthOptions } from "./options.js";
export type { Schemas } from "./routes.js";
export type { AuthState } from "./session.js";
export type { Credentials, SecondStep } from "./sign-in.js";
export type { SimpleStorage } from "./store.js";
export { AuthError };

export type Auth = ReturnType<typeof createAuth>;

/**
 * Make a client. Nothing is thrown but a `TypeError` for wrong options: a storage that is blocked or spoilt is none.
 * With a cookie, it asks the service at once whether somebody is signed in.
 */
export function createAuth(given: AuthOptions) {
  const options = checked(given);
  const { url, mode, apis, onStepUp } = options;
  const isShared = mode !== "memory";
  const send = options.fetch ?? ((...request) => fetch(...request));
  const transport = new Transport(url, options.timeout, mode === "cookie", send);
  const name = `auth-service ${mode} ${url} ${options.name ?? ""}`.trim();
  const store = new Store(
    name,
    isShared ? (options.storage ?? attempt(() => globalThis.localStorage)) : undefined,
    mode !== "cookie",
  );
  const channel = isShared ? attempt(() => new BroadcastChannel(name)) : undefined;
  (channel as { unref?: () => void } | undefined)?.unref?.(); // Node: it keeps no program running
  const closing = new AbortController();
  const tell = (kept: Kept) => closing.signal.aborted || channel?.postMessage(kept);
  const session = new Session(transport, store, tell, isShared);
  channel?.addEventListener("message", ({ data }) => session.hear(data));
  onWakeUp((missedNews) => session.look(missedNews), closing.signal);
  session.look(mode === "cookie");

  const request = requestOf(session, onStepUp);

  const auth = {
    /** Whether somebody is signed in here. */
    get state(): AuthState {
      return session.state;
    },

    /** Call `listener` with the state that is and with each that comes; return what ends that. */
    onChange(listener: (state: AuthState) => void): () => void {
      const told = (state: AuthState) => listener(state);
      session.listeners.add(told);
      queueMicrotask(() => session.listeners.has(told) && told(session.state));
      return () => session.listeners.delete(told);
    },

    /** An access token that is good for a while; `refused` is one that was answered 401 elsewhere. */
    accessToken: (refused?: string): Promise<string> => session.accessToken(refused),

    /**
     * `fetch`, with the access token if the request is to the service or to one of `apis`. Its `signal` ends the wait for
     * a token and for `onStepUp`, too.
     */
    async fetch(input: Parameters<Fetch>[0], init?: Parameters<Fetch>[1]): Promise<Response> {
      const request = new Request(input, init);
      const { protocol, origin } = new URL(request.url);
      // A blob: has the origin of the page that made it.
      if (protocol === "blob:" || !apis.includes(origin)) return send(request);
      const sendWith = (token: string) => {
        const copy = request.clone(); // with its body, which may be sent again
        copy.headers.set("Authorization", `Bearer ${token}`);
        return send(copy);
      };
      return unlessAborted(request.signal, () => withToken(session, sendWith, onStepUp));
    },

    /** Call any route of the service; the types are those of its OpenAPI document. */
    request,

    ...signInsOf(request, session),

    /** Sign out, in all tabs. If the service does not answer: `unavailable`, and a cookie is still there. */
    signOut: (): Promise<void> => session.signOut(),

    /** The user's sessions: all that are signed in, one page at a time. */
    sessions: {
      list: (query: { ended?: boolean; limit?: number; cursor?: string } = {}) =>
        request("GET", "/auth/sessions", { query }),
      end: (session_id: string) => request("DELETE", "/auth/sessions/{session_id}", { params: { session_id } }),
      endOthers: () => request("DELETE", "/auth/sessions"),
    },

    /** Stop listening and waiting, as when a page takes the client down; the session stays. */
    close(): void {
      closing.abort();
      channel?.close();
      session.close();
    },
  };
  return auth as Readonly<typeof auth>;
}
