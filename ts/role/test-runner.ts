/**
 * Tells a test runner's own processes and threads, which run test files, from the applications that a test starts. A
 * child inherits every variable of its parent, so variables alone prove nothing: what counts is the script that the
 * process runs, its own options, and what the runner has put into its memory.
 */
import { isMainThread } from 'node:worker_threads';
import type { Snapshot } from './decision';
import { readCommandLine } from './process-info';

export interface TestRunner {
  /** As its users name it, e.g. `jest` or `node:test`. */
  name: string;
  /** What shows that the runner runs this process or thread, as a clause. */
  sign: string;
}

/** The script of a runner's pool, or of its command line. `jest-worker` and `tinypool` are the pools of jest and vitest. */
const PACKAGE =
  /[\\/]node_modules[\\/](jest|jest-cli|jest-worker|vitest|tinypool|ava|mocha|tap|@tapjs[\\/][^\\/]+|uvu|jasmine)[\\/]/;
/** The link in `node_modules/.bin`, or in the folder of what is installed globally. */
const COMMAND = /[\\/]\.?bin[\\/]_?(jest|vitest|ava|mocha|tap|uvu|jasmine)$/;

const NAMES: Record<string, string> = { 'jest-cli': 'jest', 'jest-worker': 'jest', tinypool: 'vitest' };

/** What jest, vitest, tap and uvu put into the global object, which is one for each test file or thread. */
const GLOBALS: [runner: string, key: PropertyKey][] = [
  ['jest', Symbol.for('jest-native-now')],
  ['vitest', '__vitest_index__'],
  ['vitest', '__vitest_worker__'],
  ['tap', Symbol.for('TAP private constructor')],
  ['uvu', 'UVU_QUEUE'],
];

/** The names of the files that `bun test` takes. */
const BUN_TEST_FILE = /[._](test|spec)\.[cm]?[jt]sx?$/;

/** The test runner whose own process or thread the snapshot shows. */
export function testRunnerOf({ argv, env, testRunner }: Snapshot): TestRunner | undefined {
  const script = argv[1] ?? '';
  const [, found] = PACKAGE.exec(script) ?? COMMAND.exec(script) ?? [];
  // A pool for anything, which vitest has used up to its version 3.
  if (found === undefined || (found === 'tinypool' && env.VITEST === undefined && env.VITEST_POOL_ID === undefined)) {
    return testRunner;
  }
  const name = found.startsWith('@tapjs') ? 'tap' : (NAMES[found] ?? found);
  return { name, sign: `it runs ${script}` };
}

/** What is seen from inside this process and thread. Costs microseconds, where no variable of a runner is set. */
export function readTestRunner(): TestRunner | undefined {
  const [name] = GLOBALS.find(([, key]) => key in globalThis) ?? [];
  if (name !== undefined) {
    return { name, sign: 'its global objects are here' };
  }
  const { describe, it } = globalThis as { describe?: unknown; it?: unknown };
  if (typeof describe === 'function' && typeof it === 'function') {
    return { name: 'mocha, or one like it', sign: 'describe() and it() are global functions here' };
  }
  // Undocumented, and there in all versions of Node so far. Each thread has its own.
  const { moduleLoadList: loaded } = process as { moduleLoadList?: string[] };
  if (loaded?.includes('NativeModule test')) {
    return { name: 'node:test', sign: 'it has loaded the module node:test' };
  }
  // A thread has the options and the parent of its process.
  return isMainThread ? ofProcess() : undefined;
}

function ofProcess(): TestRunner | undefined {
  const { env, execArgv, ppid, versions } = process;
  if (execArgv.includes('--test')) {
    return { name: 'node:test', sign: 'it was started with --test' };
  }
  if (env.NODE_TEST_CONTEXT !== undefined && readCommandLine(ppid).includes('--test')) {
    return { name: 'node:test', sign: `its parent ${ppid} was started with --test` };
  }
  if (execArgv.some(option => /[\\/]node_modules[\\/]@tapjs[\\/]/.test(option))) {
    return { name: 'tap', sign: "it was started with tap's options" };
  }
  if (env.TAP !== undefined && hasLoaded(/[\\/]node_modules[\\/](lib)?tap[\\/]/)) {
    return { name: 'tap', sign: 'it has loaded tap' };
  }
  return versions.bun === undefined ? undefined : ofBun();
}

function ofBun(): TestRunner | undefined {
  const isTest = BUN_TEST_FILE.test(process.argv[1] ?? '') || readCommandLine('self').slice(1, 3).includes('test');
  return isTest ? { name: 'bun test', sign: `it runs ${process.argv[1]}` } : undefined;
}

function hasLoaded(path: RegExp): boolean {
  return Object.keys(require.cache ?? {}).some(file => path.test(file));
}
