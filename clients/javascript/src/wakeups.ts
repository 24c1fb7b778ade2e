/**
 * Look again after a sleep, a freeze, the back button or a time without a network: timers are late then, and news of
 * other tabs may be missed. Where there is no page, as in Node, nothing ever happens.
 */
export function onWakeUp(look: (missedNews: boolean) => void, signal: AbortSignal): void {
  const page = globalThis.document;
  const listen = (target: EventTarget | undefined, event: string, hear: (event: Event) => void) =>
    target?.addEventListener?.(event, hear, { signal });
  listen(page, "visibilitychange", () => page.visibilityState === "hidden" || look(false));
  listen(page, "resume", () => look(true));
  listen(globalThis, "online", () => look(false));
  listen(globalThis, "pageshow", (event) => look((event as PageTransitionEvent).persisted));
}
