import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { environment } from '../support/processes';
import { within } from '../support/until';

const runtimeDir = mkdtempSync(join(tmpdir(), 'agent-values-'));
const members: ChildProcess[] = [];

function told<T>(member: ChildProcess, what: string): Promise<T> {
  const answer = new Promise<T>((resolve, reject) => {
    const died = () => reject(new Error(`It died before ${what}.`));
    member.once('exit', died);
    member.once('message', message => {
      member.off('exit', died);
      resolve(message as T);
    });
  });
  return within(answer, { what, timeout: 60_000 });
}

async function start(role: string): Promise<void> {
  const member = fork(join(__dirname, 'values-member.js'), {
    env: environment({
      MEMBER: JSON.stringify({ group: 'values', runtimeDir, config: { maxPayload: 8 * 1024 * 1024 } }),
    }),
  });
  members.push(member);
  expect(await told(member, 'its start')).toEqual({ role });
}

/** What the worker found wrong. */
async function problems(check: string): Promise<unknown[]> {
  const [, worker] = members;
  worker.send(check);
  return (await told<{ answer: unknown[] }>(worker, check)).answer;
}

beforeAll(async () => {
  await start('primary');
  await start('worker');
});

afterAll(async () => {
  for (const member of members) {
    const exit = once(member, 'exit');
    member.kill('SIGKILL');
    await exit;
  }
  rmSync(runtimeDir, { recursive: true, force: true });
});

test.each([
  ['every value arrives as it was as an argument', 'argument'],
  ['the same beside what only structured clone carries', 'argumentBeside'],
  ['every value arrives as it was as a result', 'result'],
  ['the same of results, beside what only structured clone carries', 'resultBeside'],
  ['an argument that can not be copied is refused by its path, and nothing is sent', 'refusedArgument'],
  ['a result that can not be copied is refused by its path, after the call has run', 'refusedResult'],
  ['everything that is thrown arrives as it was', 'thrown'],
  ['everything that a promise rejects with arrives as it was', 'rejected'],
  ['errors show the stack of both processes', 'stacks'],
  ['what can not be thrown across processes says so', 'untold'],
  ['an error that is too large says so, one with cyclic junk arrives', 'large'],
])('%s', async (_, check) => {
  expect(await problems(check)).toEqual([]);
});

test('the tables are not empty', async () => {
  const [values, refused, thrown] = (await problems('counts')) as number[];
  expect(values).toBeGreaterThan(100);
  expect(refused).toBeGreaterThan(30);
  expect(thrown).toBeGreaterThan(60);
});
