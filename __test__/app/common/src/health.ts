/** What this process's own health check says; a test can make it say something else. */
export const check: { reason: string | undefined; delay: number } = { reason: undefined, delay: 0 };

export async function onHealthCheck(): Promise<{ status: boolean; reason?: string }> {
  await new Promise(resolve => setTimeout(resolve, check.delay));
  return check.reason === undefined ? { status: true } : { status: false, reason: check.reason };
}

/** For as long as `ms` nothing else runs in this process. */
export function block(ms: number): void {
  const until = Date.now() + ms;
  while (Date.now() < until) {}
}
