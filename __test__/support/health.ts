import type { GroupHealth } from '../../ts/interface';
import { get } from './http';

/** What Midway's own service says, and who has answered. */
export interface Status {
  pid: number;
  threadId: number;
  status: boolean;
  namespace?: string;
  reason?: string;
  results: { namespace: string; status: boolean; reason?: string }[];
}

export type GroupStatus = GroupHealth & { pid: number };

/**
 * Asks again and again, several requests at once, until each of `pids` has answered as expected. A request may land on a
 * process that is stuck, and have no answer. Gives the last answer of each.
 */
export async function untilEach(
  ports: number[],
  pids: number[],
  is: (status: Status) => boolean,
  { timeout = 20_000, path = '/health' } = {},
): Promise<Map<number, Status>> {
  const deadline = Date.now() + timeout;
  const found = new Map<number, Status>();
  const last = new Map<number, Status>();
  const ask = (port: number) =>
    get<Status>(port, path, 1_500).then(
      status => {
        last.set(status.pid, status);
        if (pids.includes(status.pid) && is(status)) {
          found.set(status.pid, status);
        }
      },
      () => {},
    );
  while (found.size < pids.length) {
    if (Date.now() > deadline) {
      throw new Error(`waited ${timeout} ms; ${JSON.stringify([...last.values()])}`);
    }
    // Not awaited: one that hangs must not hold the others up.
    for (const port of ports) {
      void ask(port);
    }
    await new Promise(resolve => setTimeout(resolve, 30));
  }
  return found;
}
