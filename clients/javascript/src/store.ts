/** Where the record is kept: in this tab, in a storage that all tabs share, and on its way to them by a channel. */

import { isKept, type Kept } from "./kept.js";

/** The part of the Web Storage API that is used; `localStorage` has it. */
export interface SimpleStorage {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

/** What the platform may have blocked, or spoilt, is none. */
export function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

export class Store {
  /** When this tab got the tokens, by a clock that nobody sets; milliseconds. */
  since = performance.now();
  #kept: Kept;

  constructor(
    readonly name: string,
    readonly storage: SimpleStorage | undefined,
    /** In cookie mode no token is stored. */
    readonly storesTokens: boolean,
  ) {
    // Only the service knows what is in a cookie.
    this.#kept = { version: 0, session_id: storesTokens ? null : undefined };
  }

  /** The newer one of what this tab and the storage have. A storage that is blocked, empty or spoilt changes nothing. */
  load(): Kept {
    const stored = this.#stored();
    const kept = this.#kept;
    if (!stored || stored.version < kept.version) return kept;
    const isSame = stored.version === kept.version;
    if (isSame || (!this.storesTokens && stored.session_id === kept.session_id)) {
      // The tokens of this tab are those, or of the same session; those of another tab come by the channel.
      this.#kept = { ...kept, version: stored.version, key: stored.key ?? (isSame ? kept.key : undefined) };
    } else {
      // A page that is loaded knows of no sign-in by another site; only the service knows what is in a cookie.
      const isUnsure = !this.storesTokens && kept.version === 0;
      this.#keep(isUnsure ? { ...stored, session_id: undefined } : stored);
    }
    return this.#kept;
  }

  /** Keep what comes next; return the record with its version. */
  save(next: Omit<Kept, "version">): Kept {
    // Newer than any before, even if the clock was set back.
    this.#keep({ ...next, version: Math.max(Date.now(), this.load().version + 1) });
    this.#write();
    return this.#kept;
  }

  /** The key for the refresh of this record: the same for every attempt, in every tab, also after a reload. */
  key(): string {
    const kept = this.load();
    if (!kept.key) {
      this.#kept = { ...kept, key: crypto.getRandomValues(new Uint32Array(4)).join("-") };
      this.#write();
    }
    return this.#kept.key as string;
  }

  /** Take what another tab tells, if it is news. */
  hear(news: unknown): void {
    if (isKept(news) && news.version >= this.load().version) this.#keep(news);
  }

  #keep(kept: Kept): void {
    if (kept.access_token !== this.#kept.access_token) this.since = performance.now();
    this.#kept = kept;
  }

  #stored(): Kept | undefined {
    return attempt(() => {
      const stored = JSON.parse(this.storage?.getItem(this.name) ?? "");
      const isWhole = !this.storesTokens || stored.session_id === null || (stored.access_token && stored.refresh_token);
      return isKept(stored) && isWhole ? stored : undefined;
    });
  }

  #write(): void {
    const { version, session_id, key } = this.#kept;
    const text = JSON.stringify(this.storesTokens ? this.#kept : { version, session_id, key });
    try {
      this.storage?.setItem(this.name, text);
    } catch {
      // It is full or blocked: this tab goes on with what it has, and tells the others. What was stored is too old to
      // be used: after a reload it would look like a stolen token.
      attempt(() => {
        this.storage?.removeItem(this.name);
        this.storage?.setItem(this.name, text);
      });
    }
  }
}
