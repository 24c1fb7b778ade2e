/** One call to the service: it ends in time, and all that can go wrong is an `AuthError`. */

import { AuthError, noAnswer } from "./errors.js";

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
    if (status !== 204) throw noAnswer(status);
  }

  /** Send one request; its answer is there to the end. */
  async send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response> {
    const url = this.url + path;
    const init: RequestInit = {
      method,
      headers: {
        ...((body as object) && { "Content-Type": "application/json" }),
        ...(this.cookies && { "X-Auth-Cookie": "1" }),
        ...headers,
      },
      credentials: this.cookies ? "include" : "omit",
      cache: "no-store",
      redirect: "error", // to a page that wants something first, or to whom no token is for
      body: JSON.stringify(body), // none of nothing
    };
    new Request(url, init); // throws what is wrong with it, such as a GET with a body
    // Called without `this`, as browsers want it.
    const { fetch } = this;
    return this.inTime(async (signal) => whole(await fetch(url, { ...init, signal }), signal));
  }

  /** Do what asks the service, and throw `unavailable` if it fails by itself or takes longer than one call may. */
  async inTime<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const deadline = new AbortController();
    const { signal } = deadline;
    const timer = setTimeout(() => deadline.abort(), this.timeout);
    return unlessAborted(signal, () => work(signal))
      .catch((error) => {
        throw error instanceof AuthError ? error : noAnswer();
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
    const date = Date.parse(headers.get("Date") ?? "");
    const isObject = Object(said) === said; // or a list
    if (response.ok && isObject) return { said, status, askedAt, ahead: date - askedAt || 0 };
    const wait = secondsIn(headers.get("Retry-After") ?? "", date || askedAt);
    if (typeof said?.code !== "string") throw noAnswer(status, wait);
    throw new AuthError(status < 500 ? said.code : "unavailable", said.detail, status, said, wait);
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
  throw noAnswer(200);
}

/** A number or a date (RFC 9110, section 10.2.3), a day at most: more would be none to a timer. */
function secondsIn(header: string, now: number): number | undefined {
  const isDate = /^\D{5}/.test(header); // it begins with the day of the week
  const seconds = /^\d+$/.test(header) ? +header : isDate ? Math.ceil((Date.parse(header) - now) / 1_000) : 0;
  return seconds > 0 ? Math.min(seconds, 86_400) : undefined;
}
