/** Applications in the test files of real test runners, whose configuration names one group. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { removeTemporaryFolders, temporaryFolder } from '../support/folders';
import { killAll, run } from '../support/processes';
import { within } from '../support/until';

interface Found {
  pid: number;
  threadId: number;
  deployment: string;
  role: string;
  members: number;
  reason: string;
  child?: { deployment: string; group: string };
}

const found: { folder?: string; bun?: string; missing?: string } = require('../../scripts/runners').runners();
const { folder = '', bun, missing } = found;
if (missing) {
  console.warn(`The test runners are not here, so nothing is tested with them: ${missing}.`);
} else if (!bun) {
  console.warn('The binary of bun is not here, so nothing is tested with it.');
}

const bin = (name: string) => path.join(folder, '..', 'node_modules', name);
const node = process.execPath;
const jestCommand = [
  node,
  bin('jest/bin/jest.js'),
  '--no-cache',
  '--config',
  '{"testMatch":["**/*.jest.cjs"],"transform":{}}',
];
const vitest = [node, bin('vitest/vitest.mjs'), 'run', '--maxWorkers=2', 'one.vitest.test.mjs', 'two.vitest.test.mjs'];
const ava = [node, bin('ava/entrypoints/cli.mjs'), '--concurrency=2', 'one.ava.mjs', 'two.ava.mjs'];
const mocha = [node, bin('mocha/bin/mocha.js'), 'one.mocha.cjs', 'two.mocha.cjs'];
const tap = [node, bin('tap/dist/esm/run.mjs'), 'run', '--disable-coverage', '--timeout=60'];

type Row = [name: string, command: string[], together: boolean];

const ROWS: Row[] = [
  ['jest', [...jestCommand, '--maxWorkers=2'], true],
  ['jest in threads', [...jestCommand, '--maxWorkers=2', '--workerThreads'], true],
  ['jest in band', [...jestCommand, '-i'], false],
  ['vitest in forks', [...vitest, '--pool=forks'], true],
  ['vitest in threads', [...vitest, '--pool=threads'], true],
  // Its pools vmForks and vmThreads can't load what @midwayjs/mock depends on; snapshots/runners/ has both.
  ['ava in threads', ava, true],
  ['ava in processes', [...ava, '--no-worker-threads'], true],
  ['mocha', mocha, false],
  ['mocha in parallel', [...mocha, '--parallel', '--jobs=2'], true],
  ['node:test', [node, '--test', 'one.node.cjs', 'two.node.cjs'], false],
  ['tap', [...tap, '--jobs=2', 'one.tap.cjs', 'two.tap.cjs'], true],
  ['uvu', [node, bin('uvu/bin.js'), '.', '\\.uvu\\.cjs$'], false],
];
const BUN_ROWS: Row[] = [['bun test', [bun ?? '', 'test', './one.bun.test.cjs', './two.bun.test.cjs'], false]];

/** Configurations are one for all runs; no other run on this machine may have the same group. */
const CONFIGURED = `runners-${process.pid}-${Date.now()}`;

afterEach(killAll);
afterAll(removeTemporaryFolders);

/** What the applications of both files found themselves to be. */
async function runBoth([name, [program, ...args], together]: Row, env: Record<string, string> = {}): Promise<Found[]> {
  const meeting = temporaryFolder('runners');
  const running = run(program, args, {
    cwd: folder,
    env: {
      NODE_ENV: 'test',
      CI: '1',
      CONFIGURED_GROUP: CONFIGURED,
      MEETING: meeting,
      ...(together ? { TOGETHER: '1' } : {}),
      ...env,
    },
  });
  const { code } = await within(running.exited, { what: `${name} to end`, timeout: 100_000 });
  if (code !== 0) {
    throw new Error(`${name} ended with ${code}:\n${running.output}`);
  }
  const both = ['one', 'two'].map(each => path.join(meeting, `${each}-ended.json`));
  return both.map(file => JSON.parse(fs.readFileSync(file, 'utf8')));
}

function neverMeet(row: Row): () => Promise<void> {
  return async () => {
    const both = await runBoth(row);
    const alone = { deployment: 'standalone', role: 'primary', members: 1 };
    expect(both).toEqual([expect.objectContaining(alone), expect.objectContaining(alone)]);
    const [, runner] = /^The test runner (.*) runs this (process|thread) /.exec(both[0].reason) ?? [];
    expect(row[0].startsWith(`${runner}`)).toBe(true);
    // The same configuration in a process that is none of the runner's.
    expect(both[0].child).toEqual({ deployment: 'configured', group: CONFIGURED });
  };
}

(missing ? describe.skip : describe)(
  'applications of two test files never meet, and what they start is no test',
  () => {
    for (const row of ROWS) {
      it(row[0], neverMeet(row));
    }
  },
);

(missing || !bun ? describe.skip : describe)('nor do those of bun', () => {
  for (const row of BUN_ROWS) {
    it(row[0], neverMeet(row));
  }
});

(missing ? describe.skip : describe)('a group that the environment names counts in test files, too', () => {
  const rows = ROWS.filter(([name]) => ['jest', 'ava in threads', 'vitest in threads', 'tap'].includes(name));
  for (const row of rows) {
    it(row[0], async () => {
      const group = `${CONFIGURED}-${row[0].replaceAll(' ', '-')}`;
      const both = await runBoth(row, { MIDWAY_PROCESS_AGENT_GROUP: group, CONFIGURED_GROUP: group });
      expect(both.map(({ role }) => role).sort()).toEqual(['primary', 'worker']);
      expect(both.every(({ deployment }) => deployment === 'configured')).toBe(true);
    });
  }
});
