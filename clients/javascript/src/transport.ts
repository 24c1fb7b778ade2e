/** One call to the service: it ends in time, and all that can go wrong is an `AuthError`. */

import { AuthError, notTheService, type Problem } from "./errors.js";

const LARGEST = 10_000_000; // bytes of an answer; the largest, the export of an account, is a tenth of it

/** What the service said, and how far its clock is ahead of this machine's, in milliseconds. */
export interface Answer {
  // biome-ignore lint/suspicious/noExplicitAny: the types of the answers are in schema.ts, route by route
  said: any;
  status: number;
  ahead: number;
  askedAt: number;
}

export type Fetch = typeof globalThis.fetch;

export class Transport {
  constructor(
    readonly url: string,
    readonly timeout: number,
    readonly cookies: boolean,
    readonly fetch: Fetch,
  ) {}

  /** Send one request, and return what the service said. */
  async call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> {
    const askedAt = Date.now();
    return this.answerOf(await this.send(method, path, body, headers), askedAt);
  }

  /** End the session of the cookie, or of this token. Only 204 says that it has ended. */
  async endSession(refresh_token?: string): Promise<void> {
    const { status } = await this.call("POST", "/auth/logout", { refresh_token });
    if (status !== 204) throw notTheService(status);
  }

  /** Send one request; its answer is there to the end. */
  async send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response> {
    const deadline = new AbortController();
    const init: RequestInit = {
      method,
      headers: {
        ...(body !== undefined && { "Content-Type": "application/json" }),
        ...(this.cookies && { "X-Auth-Cookie": "1" }),
        ...headers,
      },
      credentials: this.cookies ? "include" : "omit",
      cache: "no-store",
      redirect: "error", // to a page that wants something first, or to whom no token is for
      signal: deadline.signal,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    };
    const url = this.url + path;
    new Request(url, init); // throws what is wrong with it, such as a GET with a body
    // Called without `this`, as browsers want it.
    const { fetch } = this;
    const timer = setTimeout(() => deadline.abort(), this.timeout);
    const work = async () => whole(await fetch(url, init), deadline.signal);
    return unlessAborted(deadline.signal, work)
      .catch(() => {
        throw new AuthError("unavailable", "The service did not answer.");
      })
      .finally(() => {
        clearTimeout(timer);
        deadline.abort(); // and what is left of the answer
      });
  }

  /** Tell the service's answers from those of whatever stands in between: a proxy, a captive portal. */
  async answerOf(response: Response, askedAt: number): Promise<Answer> {
    const { status, headers } = response;
    const said = status === 204 ? {} : await response.json().catch(() => null);
    const isObject = said !== null && typeof said === "object";
    const date = Date.parse(headers.get("Date") ?? "");
    if (response.ok && isObject) return { said, status, askedAt, ahead: date - askedAt || 0 };
    const problem: Problem | undefined = isObject && typeof said.code === "string" ? said : undefined;
    if (!problem) throw notTheService(status);
    throw new AuthError(
      status < 500 ? problem.code : "unavailable",
      problem.detail,
      status,
      problem,
      secondsIn(headers.get("Retry-After") ?? "", date || askedAt),
    );
  }
}

/** Do some work, and return what comes of it, or throw as soon as the signal says so, whatever becomes of the work. */
export async function unlessAborted<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  signal.throwIfAborted();
  const aborted = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  return Promise.race([work(), aborted]);
}

/** The answer, once all of it is here. In Node the signal alone does not always end a body, once memory was collected. */
async function whole(response: Response, signal: AbortSignal): Promise<Response> {
  const reader = response.body?.getReader();
  if (!reader) return response;
  signal.addEventListener("abort", () => reader.cancel().catch(() => {}));
  const parts: Uint8Array<ArrayBuffer>[] = [];
  for (let size = 0; size < LARGEST; ) {
    const { done, value } = await reader.read();
    if (done) return new Response(parts[0] && new Blob(parts), response);
    parts.push(value);
    size += value.length;
  }
  throw notTheService();
}

/** A number or a date (RFC 9110, section 10.2.3), a day at most: more would be none to a timer. */
function secondsIn(header: string, now: number): number | undefined {
  const seconds = +header || Math.ceil((Date.parse(header) - now) / 1_000);
  return seconds > 0 ? Math.min(seconds, 86_400) : undefined;
}
