/** Durations and deadlines are never of the wall clock: who reads it does so for people, and stands here with the reason. */
import { readdirSync, readFileSync } from 'node:fs';
import * as path from 'node:path';
import { Deadline, now } from '../ts/clock';

const ROOT = path.join(__dirname, '..');

interface Allowed {
  times: number;
  why: string;
}

const IN_TYPESCRIPT: Record<string, Allowed> = {
  'ts/engine/local.ts': { times: 2, why: 'startedAt and joinedAt of this member, which people read' },
  'ts/engine/standalone.ts': { times: 2, why: 'the same' },
  'ts/membership.ts': { times: 1, why: 'the same' },
  'ts/health/checks.ts': { times: 1, why: 'failingSince, which people read' },
  'ts/health/verdict.ts': {
    times: 1,
    why: 'for who is told by a member of the version before, which says no duration',
  },
  'scripts/chaos.js': { times: 1, why: 'a seed' },
  'scripts/chaos/host.js': { times: 1, why: 'tells whether a preloaded clock works' },
  'scripts/soak/member.js': { times: 1, why: 'something to publish' },
};

const IN_RUST: Record<string, Allowed> = {
  'src/time.rs': { times: 6, why: 'the clocks themselves' },
  'src/agent.rs': { times: 1, why: 'when numbers were said, by which the most recent of several members is chosen' },
  'src/admin/look.rs': { times: 1, why: 'for who is told by a member of the version before, which says no duration' },
  'src/ipc/broker/metrics/group.rs': { times: 1, why: 'the age of numbers of an earlier tenure' },
  'src/role/lock.rs': { times: 1, why: 'an epoch starts from the clock, so that it grows over a deleted folder' },
  'src/role/stale.rs': { times: 1, why: 'an epoch is compared with the clock that it started from' },
  'src/role/handover.rs': { times: 2, why: 'an age, where the processes of a host share no other clock' },
};

test.each([
  ['Date', ['ts', 'scripts'], /\.(ts|js)$/, /\bDate\.now\b|\bnew Date\(\)|\bDate\(\)/g, IN_TYPESCRIPT],
  ['SystemTime', ['src'], /\.rs$/, /\bnow_ms\(\)|\bSystemTime::now\b/g, IN_RUST],
] as const)('%s is read for people alone', (_clock, folders, files, reads, allowed) => {
  const found: Record<string, number> = {};
  for (const folder of folders) {
    for (const name of readdirSync(path.join(ROOT, folder), { recursive: true }) as string[]) {
      if (files.test(name)) {
        const file = path.posix.join(folder, name.split(path.sep).join('/'));
        const times = code(readFileSync(path.join(ROOT, file), 'utf8')).match(reads)?.length ?? 0;
        if (times > 0) {
          found[file] = times;
        }
      }
    }
  }
  expect(found).toEqual(Object.fromEntries(Object.entries(allowed).map(([file, { times }]) => [file, times])));
});

/** Without comments, and without the tests in a Rust file. */
function code(text: string): string {
  return text
    .replace(/\nmod tests \{[\s\S]*$/, '')
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|\s)\/\/.*$/gm, '');
}

test('a deadline passes when its time is over, whatever is done to the wall clock', () => {
  const { now: wallClock } = Date;
  try {
    const deadline = new Deadline(20);
    Date.now = () => wallClock() - 86_400_000;
    expect(deadline.left).toBeGreaterThan(0);
    expect(deadline.left).toBeLessThanOrEqual(20);
    expect(Number.isInteger(deadline.left)).toBe(true);
    const end = now() + 20;
    while (now() < end) {}
    expect([deadline.hasPassed, deadline.left]).toEqual([true, 0]);
  } finally {
    Date.now = wallClock;
  }
});
