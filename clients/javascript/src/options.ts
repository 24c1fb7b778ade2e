import type { StepUpHook } from "./bearer.js";
import type { SimpleStorage } from "./store.js";
import type { Fetch } from "./transport.js";

export interface AuthOptions {
  /** Where the service is, such as `https://auth.example.com`. */
  url: string;
  /**
   * Where the refresh token is: `cookie`, in a cookie of the service's that no script can read; `storage`, in a
   * storage that all tabs share; `memory`, in this tab alone, until it is closed.
   */
  mode: "cookie" | "storage" | "memory";
  /** `localStorage` unless given. In cookie mode it has no token. */
  storage?: SimpleStorage;
  /** The other origins that get the access token from `fetch()`, such as `https://api.example.com`. */
  apis?: string[];
  /** Called where an API, or this service, asks for a more recent or surer sign-in. */
  onStepUp?: StepUpHook;
  /** Milliseconds that one call to the service may take; 5,000 unless given. */
  timeout?: number;
  /** Keeps sessions apart that are of the same service; all with one name share one. */
  name?: string;
  /** What sends the requests; the platform's unless given. */
  fetch?: Fetch;
}

/** Options with their defaults, checked. */
export function checked(options: AuthOptions): AuthOptions & { url: string; timeout: number; apis: string[] } {
  const { url, mode, apis = [], timeout = 5_000 } = options;
  if (!/^https?:\/\/./.test(url)) throw new TypeError("url must be like https://auth.example.com");
  if (!["cookie", "storage", "memory"].includes(mode)) throw new TypeError("mode must be cookie, storage or memory");
  const origins = [url, ...apis].map((api) => new URL(api, globalThis.location?.href).origin);
  return { ...options, url: url.replace(/\/+$/, ""), timeout, apis: origins };
}
