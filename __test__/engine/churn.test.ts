import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { removeTemporaryFolders, temporaryFolder } from '../support/folders';
import { environment } from '../support/processes';
import { within } from '../support/until';

const WORKERS = 4;
/** Joins of each worker, in each half. */
const JOINS = Number(process.env.CHURN_JOINS ?? 500);
/** So often that caches, pools and compiled code are as large as they get. */
const WARM_UP = 500;
/**
 * What a join may seem to leave in memory (bytes): what two measurements differ by, divided by the joins, and less than
 * an engine or a thread takes.
 */
const RSS_PER_JOIN = 4096;
const HEAP_PER_JOIN = 2048;

interface Held {
  files: number;
  threads: number;
  resources: string[];
  rss: number;
  heap: number;
}

/** A process of churn-member.js. */
class Churning {
  readonly child: ChildProcess;
  private request = 0;

  constructor(group: string, runtimeDir: string) {
    this.child = fork(join(__dirname, 'churn-member.js'), {
      env: environment({ CHURN: JSON.stringify({ group, runtimeDir }) }),
      // A young generation of a fixed size: as it grows, it would hide anything else.
      execArgv: ['--expose-gc', '--max-semi-space-size=1'],
    });
  }

  async run<T>(command: string, ...args: unknown[]): Promise<T> {
    const id = ++this.request;
    this.child.send({ id, command, args });
    const [{ value, error }] = await within(once(this.child, 'message'), { what: command, timeout: 60_000 });
    if (error) {
      throw new Error(`${command}: ${error.code} ${error.message}`);
    }
    return value;
  }
}

let all: Churning[] = [];
afterEach(async () => {
  for (const { child } of all) {
    child.kill('SIGKILL');
  }
  await Promise.all(all.map(({ child }) => child.exitCode ?? child.signalCode ?? once(child, 'exit')));
  removeTemporaryFolders();
});

test(`${WORKERS * JOINS * 2} joins and leaves leave no file, socket, thread or memory behind`, async () => {
  const runtimeDir = temporaryFolder('churn');
  all = Array.from({ length: 1 + WORKERS }, () => new Churning('churn', runtimeDir));
  const [primary, ...workers] = all;
  const churn = (times: number) => Promise.all(workers.map(each => each.run('churn', times)));
  const measure = () => Promise.all(all.map(each => each.run<Held>('measure')));
  await primary.run('stay');
  await churn(WARM_UP);
  const before = await measure();
  const began = Date.now();
  await churn(JOINS);
  const middle = await measure();
  await churn(JOINS);
  const after = await measure();
  const took = Date.now() - began;
  print(took, before, middle, after);

  const counts = (held: Held[]) => held.map(({ files, threads, resources }) => ({ files, threads, resources }));
  expect(counts(middle)).toEqual(counts(before));
  expect(counts(after)).toEqual(counts(before));
  after.forEach((held, i) => {
    // Joins that the process has seen in the second half: its own, or those of all.
    const joins = i === 0 ? WORKERS * JOINS : JOINS;
    expect((held.rss - middle[i].rss) / joins).toBeLessThan(RSS_PER_JOIN);
    expect((held.heap - middle[i].heap) / joins).toBeLessThan(HEAP_PER_JOIN);
  });
  expect(await primary.run('members')).toMatchObject([{ pid: primary.child.pid, role: 'primary' }]);
  const folders = readdirSync(runtimeDir);
  expect(folders).toHaveLength(1);
  expect(readdirSync(join(runtimeDir, folders[0])).sort()).toEqual(['lock', 'metrics.0', 'metrics.1', 'socket']);
});

function print(took: number, before: Held[], middle: Held[], after: Held[]): void {
  const lines = before.map(({ files, threads, resources, rss, heap }, i) => {
    const mb = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
    const way = (key: 'rss' | 'heap', first: number) =>
      `${key} ${[first, middle[i][key], after[i][key]].map(mb).join(' -> ')} MB`;
    const counts = (key: 'files' | 'threads', first: number) =>
      `${key} ${[first, middle[i][key], after[i][key]].join(' -> ')}`;
    return (
      `${i === 0 ? 'primary' : `worker ${i}`}: ${counts('files', files)}, ${counts('threads', threads)}, ` +
      `${resources.length} resources, ${way('rss', rss)}, ${way('heap', heap)}`
    );
  });
  process.stdout.write(`\n${WORKERS * JOINS * 2} joins and leaves in ${took} ms\n${lines.join('\n')}\n`);
}
