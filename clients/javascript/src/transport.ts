/** One call to the service: it ends in time, and all that can go wrong is an `AuthError`. */

import { AuthError, notTheService, type Problem } from "./errors.js";

/** What the service said, and how far its clock is ahead of this machine's, in milliseconds. */
export interface Answer {
  // biome-ignore lint/suspicious/noExplicitAny: the types of the answers are in schema.ts, route by route
  said: any;
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

  /** Send one request and read its answer. */
  async call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer> {
    const askedAt = Date.now();
    return this.read(await this.send(method, path, body, headers), askedAt);
  }

  async send(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response> {
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
      signal: AbortSignal.timeout(this.timeout),
      ...(body !== undefined && { body: JSON.stringify(body) }),
    };
    // Called without `this`, as browsers want it.
    const { fetch } = this;
    return fetch(this.url + path, init).catch(() => {
      throw new AuthError("unavailable", "The service did not answer.");
    });
  }

  /** Tell the service's answers from those of whatever stands in between: a proxy, a captive portal. */
  async read(response: Response, askedAt: number): Promise<Answer> {
    const { status, headers } = response;
    const said = status === 204 ? {} : await response.json().catch(() => null);
    const isObject = said !== null && typeof said === "object";
    const date = Date.parse(headers.get("Date") ?? "");
    if (response.ok && isObject) return { said, askedAt, ahead: date - askedAt || 0 };
    const problem: Problem | undefined = isObject && typeof said.code === "string" ? said : undefined;
    if (!problem) throw notTheService(status);
    throw new AuthError(
      status >= 400 && status < 500 ? problem.code : "unavailable",
      problem.detail,
      status,
      problem,
      secondsIn(headers.get("Retry-After")),
    );
  }
}

function secondsIn(header: string | null): number | undefined {
  return header && /^\d{1,6}$/.test(header) ? Number(header) : undefined;
}
