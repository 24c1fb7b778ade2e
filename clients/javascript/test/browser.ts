/** What a browser has and Node 20 does not: a cookie of the service's, and Web Locks. */

/** Send requests as a page of this origin does whose browser keeps the service's cookie. */
export function withCookies(origin: string) {
  let cookie = "";
  const ask: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("Origin", origin);
    if (init?.credentials === "include" && cookie) headers.set("Cookie", cookie);
    return fetch(input, { ...init, headers });
  };
  const keep = (answer: Response) => {
    const [given] = answer.headers.getSetCookie();
    if (given) cookie = /max-age=0/i.test(given) ? "" : (given.split(";")[0] ?? "");
    return answer;
  };
  const send: typeof fetch = async (input, init) => keep(await ask(input, init));
  /** `ask` sends one whose answer has not come yet, and `keep` is when it comes. */
  return Object.assign(send, { ask, keep, cookie: () => cookie });
}

type Work = () => Promise<unknown>;

/** One lock, which can be waited for with a limit, and stolen. */
export class Locks {
  #holder: AbortController | undefined;
  #queue: (() => void)[] = [];

  async request(_name: string, { signal, steal }: { signal?: AbortSignal; steal?: boolean }, work: Work) {
    if (steal) this.#holder?.abort();
    else if (this.#holder) await this.#turn(signal);
    const holder = new AbortController();
    this.#holder = holder;
    const stolen = new Promise<never>((_, reject) => {
      holder.signal.addEventListener("abort", () => reject(new DOMException("stolen", "AbortError")));
    });
    return Promise.race([work(), stolen]).finally(() => {
      if (this.#holder !== holder) return;
      this.#holder = undefined;
      this.#queue.shift()?.();
    });
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#queue.push(resolve);
      signal?.addEventListener("abort", () => {
        this.#queue = this.#queue.filter((waiting) => waiting !== resolve);
        reject(signal.reason);
      });
    });
  }
}

/** Let the platform have these locks, or none. */
export function setLocks(locks: Locks | undefined): void {
  Object.defineProperty(globalThis, "navigator", { value: locks && { locks }, configurable: true });
}
