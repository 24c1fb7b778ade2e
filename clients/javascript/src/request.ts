/** One call to any route of the service, with what belongs to it: the access token, the lock, the session of the answer. */

import { type StepUpHook, withToken } from "./bearer.js";
import { noAnswer } from "./errors.js";
import { insist } from "./options.js";
import type { AnswerOf, Method, OptionsOf, PathOf } from "./routes.js";
import type { Session } from "./session.js";

// Paths that open a session, and so change the cookie.
const OPENS = /^POST \/auth\/(login|passkeys\/login|me\/(password|totp|passkeys)\b)/;
// Those that do nothing else.
const SIGNS_IN = /^POST \/auth\/(login(\/second-factor|\/enrol\/confirm)?|passkeys\/login)$/;
// Paths that want the access token; a link of a mail takes it where there is one.
const WANTS_TOKEN = /^\/(admin|auth\/(me|sessions|step-up))\b/;
const TAKES_TOKEN = /^\/auth\/(verify|confirm)-email$/;

/** Calls a route; the types are those of the OpenAPI document. */
export type Request = <M extends Method, P extends PathOf<M>>(
  method: M,
  path: P,
  ...options: OptionsOf<M, P>
) => Promise<AnswerOf<M, P>>;

interface Given {
  body?: unknown;
  params?: Record<string, unknown>;
  query?: Record<string, string>;
}

export function requestOf(session: Session, onStepUp: StepUpHook | undefined): Request {
  const { transport } = session;
  return async (method, path, ...[options]) => {
    const { body, params, query = {} } = (options ?? {}) as Given;
    // Behind the service's host it would be the end of another one.
    insist(path[0] === "/", "a path begins with /");
    const filled = path.replace(/\{(\w+)\}/g, (_, name) => partOfPath(params?.[name]));
    const asked = Object.entries(query).filter(([, value]) => value !== undefined);
    const target = asked.length ? `${filled}?${new URLSearchParams(asked)}` : filled;
    const route = `${method} ${path}`;
    let said: Promise<unknown> | undefined;
    const ask = (token?: string) => {
      const call = async () => {
        const askedAt = Date.now();
        const response = await transport.send(method, target, body, token ? { Authorization: `Bearer ${token}` } : {});
        said = transport.answerOf(response, askedAt).then((answer) => {
          if (!session.adopt(answer) && SIGNS_IN.test(route)) throw noAnswer(200);
          return response.status === 204 ? undefined : answer.said;
        });
        await said.catch(() => {}); // a new session is known before it is another's turn
        return response;
      };
      if (!OPENS.test(route)) return call();
      return session.renewal.inTurn(call).catch((error) => {
        session.look(true); // its cookie may have come late, as to a tab that was frozen
        throw error;
      });
    };
    const isSignedIn = session.state.status === "signed-in";
    const wantsToken = WANTS_TOKEN.test(path) || (isSignedIn && TAKES_TOKEN.test(path));
    await (wantsToken ? withToken(session, ask, onStepUp) : ask());
    // biome-ignore lint/suspicious/noExplicitAny: the service answers what its document says
    return said as any;
  };
}

/** An id as one part of a path. By dots or none it would be another path, and by a slash too, as the service decodes it. */
function partOfPath(id: unknown): string {
  insist(typeof id === "string" && /^[\w-]+$/.test(id), "params must be ids");
  return id;
}
