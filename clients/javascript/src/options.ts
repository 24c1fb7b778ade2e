import type { StepUpHook } from "./bearer.js";
import { attempt, type SimpleStorage } from "./store.js";
import type { Fetch } from "./transport.js";

export type AuthOptions = AnyOptions &
  (
    | {
        mode: "cookie" | "storage";
        /** `localStorage` unless given. In cookie mode it has no token. */
        storage?: SimpleStorage;
      }
    | { mode: "memory"; storage?: never }
  );

interface AnyOptions {
  /** Where the service is, such as `https://auth.example.com`. */
  url: string;
  /**
   * Where the refresh token is: `cookie`, in a cookie of the service's that no script can read; `storage`, in a
   * storage that all tabs share; `memory`, in this tab alone, until it is closed.
   */
  mode: "cookie" | "storage" | "memory";
  /**
   * The other origins that get the access token from `fetch()`, such as `https://api.example.com`. Like `url` they are
   * https, or on this machine, without a user, a query or a fragment; or `plainHttp` is said.
   */
  apis?: string[];
  /** Allow `http` to other machines, for a program and a service in a network of their own, such as that of a cluster. */
  plainHttp?: boolean;
  /** Called where an API, or this service, asks for a more recent or surer sign-in. */
  onStepUp?: StepUpHook;
  /** Milliseconds that one call to the service may take; 5,000 unless given. */
  timeout?: number;
  /** Keeps sessions of one service apart, in storage mode: with a cookie a browser has one, whatever the name. */
  name?: string;
  /** What sends the requests; the platform's unless given. */
  fetch?: Fetch;
}

const MODES = ["cookie", "storage", "memory"];
const METHODS = ["getItem", "setItem", "removeItem"] as const;
// By the name as the URL's parser writes it: 127.1 is 127.0.0.1 by then.
const THIS_MACHINE = /^((.+\.)?localhost|127(\.\d+){3}|\[::1\])$/;
const LONGEST = 2 ** 31 - 2_000; // milliseconds that a timer can count, with a second for the wait for a lock

/** Options with their defaults, checked. */
export function checked(options: AuthOptions): AuthOptions & { url: string; timeout: number; apis: string[] } {
  const {
    url,
    mode,
    storage,
    apis = [],
    plainHttp = false,
    name = "",
    onStepUp,
    timeout = 5_000,
    fetch,
    ...more
  } = options ?? {};
  const [unknown] = Object.keys(more);
  insist(!unknown, `there is no option ${unknown}`);
  insist(MODES.includes(mode), `mode must be one of ${MODES}`);
  insist(Number.isInteger(timeout) && timeout > 0 && timeout <= LONGEST, "timeout must be milliseconds");
  insist(
    storage === undefined || METHODS.every((method) => typeof storage?.[method] === "function"),
    `storage must have ${METHODS}`,
  );
  insist(
    [onStepUp, fetch].every((option) => option === undefined || typeof option === "function"),
    "onStepUp and fetch must be functions",
  );
  insist(typeof name === "string", "name must be a string");
  insist(typeof plainHttp === "boolean", "plainHttp must be true or false");
  insist(Array.isArray(apis), "apis must be a list");
  const service = addressOf("url", url, plainHttp);
  const origins = apis.map((api) => addressOf("apis", api, plainHttp, globalThis.location?.href).origin);
  return { ...options, url: service.href.replace(/\/+$/, ""), timeout, apis: [service.origin, ...origins] };
}

/** Where passwords and tokens may be sent: by https, or on this machine; and nothing else is in the address. */
function addressOf(option: string, given: string, plainHttp: boolean, base?: string): URL {
  // What is no string, or empty, would be an address on the page's own site.
  const address = given && typeof given === "string" ? attempt(() => new URL(given, base)) : undefined;
  const { protocol, hostname, origin, pathname, href } = address ?? ({} as Partial<URL>);
  const isSafe = protocol === "https:" || (protocol === "http:" && (plainHttp || THIS_MACHINE.test(hostname ?? "")));
  // A user, a password, a query or a fragment would stand between these two, or behind them.
  insist(isSafe && href === `${origin}${pathname}`, `${option} must be like https://auth.example.com, or on localhost`);
  return address as URL;
}

/** Throw a `TypeError` unless what a caller gave is right. */
export function insist(isRight: unknown, otherwise: string): asserts isRight {
  if (!isRight) throw new TypeError(otherwise);
}
