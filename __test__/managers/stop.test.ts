import { readFileSync } from 'node:fs';
import * as net from 'node:net';
import * as path from 'node:path';
import type { Answer, WhoAmI } from '../support/application';
import { clusterManager, type Deployed, plainNode } from '../support/deployments';
import { removeTemporaryFolders, temporaryFolder } from '../support/folders';
import { get } from '../support/http';
import { isAlive, killAll, type Running } from '../support/processes';
import { onePrimary } from '../support/promises';
import { until, within } from '../support/until';

afterEach(killAll);
afterAll(removeTemporaryFolders);

describe.each(['v3', 'v4'] as const)('a process that is stopped with requests under way, Midway %s', project => {
  let current: Deployed;
  let primary: Member;
  let worker: Member;
  beforeEach(async () => {
    current = await plainNode({ project, workers: 2, group: `stop-${process.pid}-${Date.now()}` });
    const roles = await current.application.roles();
    primary = await memberOf(roles.primary);
    worker = await memberOf(roles.workers[0]);
  });

  interface Member {
    pid: number;
    port: number;
    running: Running;
  }

  async function memberOf({ pid }: WhoAmI): Promise<Member> {
    const i = current.processes.findIndex(each => each.pid === pid);
    return { pid, port: current.application.ports[i], running: current.processes[i] };
  }

  /** Asks, and tells it to stop when it has begun with it: requests of one process are begun in their order. */
  async function stopDuring<T>({ port, running }: Member, request: string): Promise<T> {
    const answer = get<T>(port, request);
    answer.catch(() => {});
    await get(port, '/whoami');
    running.child.kill('SIGTERM');
    return answer;
  }

  async function ledger(): Promise<string[]> {
    const { entries } = await current.application.firstAnswer<{ entries: [string, number][] }>('/ledger/all');
    return entries.map(([id]) => id);
  }

  it('as primary answers what it has begun itself, and hands over what came of it', async () => {
    const slow = await stopDuring<Answer>(primary, '/ledger/add?id=slow&ms=500');
    expect(slow).toMatchObject({ pid: primary.pid, executedBy: primary.pid });
    expect(await primary.running.exited).toEqual({ code: 0, signal: null });
    expect(await ledger()).toEqual(['slow']);
  });

  it('as primary answers what it has begun itself and calls another method of the primary', async () => {
    const twice = await stopDuring<Answer>(primary, '/ledger/add-twice?id=twice&ms=250');
    expect(twice).toMatchObject({ pid: primary.pid, executedBy: primary.pid });
    expect(await primary.running.exited).toEqual({ code: 0, signal: null });
    expect(await ledger()).toEqual(['twice-1', 'twice-2']);
  });

  it('as the last one answers all that it has begun, one call after the other', async () => {
    await worker.running.kill();
    const both = await stopDuring<{ added: Answer; counted: Answer }>(primary, '/ledger/add-and-count?id=a&ms=300');
    expect(both).toMatchObject({ added: { executedBy: primary.pid }, counted: { executedBy: primary.pid } });
    expect(await primary.running.exited).toEqual({ code: 0, signal: null });
  });

  it('as worker makes the calls of a request to the last, one after the other', async () => {
    const both = await stopDuring<{ added: Answer; counted: Answer }>(worker, '/ledger/add-and-count?id=a&ms=300');
    expect(both).toMatchObject({ added: { executedBy: primary.pid }, counted: { executedBy: primary.pid } });
    expect(await worker.running.exited).toEqual({ code: 0, signal: null });
  });

  it('as worker serves a request of a connection that it has accepted before, while calls are under way', async () => {
    const connection = net.connect(worker.port, '127.0.0.1');
    await new Promise(resolve => connection.once('connect', resolve));
    let response = '';
    connection.on('data', piece => {
      response += piece;
    });
    const closed = new Promise(resolve => connection.once('close', resolve));
    const slow = stopDuring<Answer>(worker, '/ledger/add?id=slow&ms=600');
    const refuses = () =>
      get(worker.port, '/whoami')
        .then(() => false)
        .catch(error => error.code === 'ECONNREFUSED');
    await until(refuses, { what: 'the server to close', every: 5 });
    connection.write('GET /ledger/add?id=late HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
    await within(closed, { what: 'the connection to end', timeout: 10_000 });
    expect(response).toMatch(/^HTTP\/1.1 200 OK[\s\S]+"size":1,/);
    expect((await slow).executedBy).toBe(primary.pid);
    expect(await ledger()).toEqual(['late', 'slow']);
  });
});

interface Line {
  is: 'made' | 'executed' | 'answered' | 'failed';
  pid: number;
  id: string;
  executedBy?: number;
  code?: string;
  outcome?: string;
}

test.each(['v3', 'v4'] as const)(
  'a ClusterManager that is stopped while its workers make calls without a pause loses none, Midway %s',
  async project => {
    const file = path.join(temporaryFolder('journal'), 'journal');
    const { application, processes } = await clusterManager({ project, workers: 4, env: { JOURNAL: file } });
    const [manager] = processes;
    const { workers, ...roles } = await application.roles();
    let { primary } = roles;
    if (workers.every(({ pid }) => pid < primary.pid)) {
      // The manager stops its workers in the order in which it has started them: the last one hands over to nobody.
      process.kill(primary.pid, 'SIGTERM');
      await until(() => !isAlive(primary.pid), { what: 'the last worker to be replaced' });
      primary = await onePrimary(application, 4);
    }
    const { started } = await application.get<{ started: number }>('/ledger/work?atOnce=20&ms=300');
    expect(started).toBe(4);
    const journal = (): Line[] =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter(Boolean)
        .map(line => JSON.parse(line));
    await until(() => journal().length > 1_000, { what: 'the workers to be busy' });

    manager.child.kill('SIGTERM');
    expect(await within(manager.exited, { what: 'the manager to end', timeout: 20_000 })).toEqual({
      code: 0,
      signal: null,
    });
    const lines = journal();
    const idsOf = (is: Line['is']) =>
      lines
        .filter(line => line.is === is)
        .map(line => line.id)
        .sort();
    const [made, executed, answered] = [idsOf('made'), idsOf('executed'), idsOf('answered')];
    const failed = lines.filter(line => line.is === 'failed');
    const primaries = new Set(lines.filter(line => line.is === 'executed').map(line => line.pid));
    console.info(`${made.length} calls, ${answered.length} answered, ${primaries.size} primaries; failed:`, failed);

    expect(failed.filter(({ outcome }) => outcome !== 'not-sent')).toEqual([]);
    expect(answered.length).toBeGreaterThan(made.length - failed.length - 1);
    // Each call has one outcome; what was answered has run once, and nothing else has run.
    expect([...answered, ...failed.map(line => line.id)].sort()).toEqual(made);
    expect(executed).toEqual(answered);
    expect(primaries.has(primary.pid)).toBe(true);
    expect(primaries.size).toBeGreaterThan(1);
  },
);
