/**
 * Let one tab at a time do some work, by Web Locks where there are any.
 *
 * Whoever has waited for `limit` milliseconds takes the lock away: the tab that holds it may be frozen. That does no
 * harm, and neither does a platform without locks: refreshes beside each other get the same tokens.
 */
export async function alone<Result>(name: string, limit: number, work: () => Promise<Result>): Promise<Result> {
  let working: Promise<Result> | undefined;
  const begin = () => {
    working ??= work();
    return working;
  };
  const request = (options: LockOptions) =>
    // It fails if the wait was too long, and also if the lock is stolen from us: then the work goes on.
    globalThis.navigator?.locks?.request(name, options, begin).catch(() => {});
  await request({ signal: AbortSignal.timeout(limit) });
  if (!working) await request({ steal: true });
  return begin();
}
