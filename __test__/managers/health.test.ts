import type { WhoAmI } from '../support/application';
import { clusterManager, type Deployed, eggScripts, plainNode } from '../support/deployments';
import { type GroupStatus, type Status, untilEach } from '../support/health';
import { get } from '../support/http';
import { Pm2 } from '../support/pm2';
import { killAll, type Running, start } from '../support/processes';
import { projectFolder } from '../support/project';
import { until } from '../support/until';

const fails = ({ status }: Status) => !status;
const isWell = ({ status }: Status) => status;

let groups = 0;

/** Four processes that nobody replaces, each with a port of its own. */
async function four(project: 'v3' | 'v4', health: object = {}) {
  const group = `health-${process.pid}-${++groups}`;
  const env = { PROCESS_AGENT_CONFIG: JSON.stringify({ health }) };
  const { application, processes } = await plainNode({ project, workers: 4, group, env });
  const { ports } = application;
  const members = processes.map((running, i) => ({ running, pid: running.pid, port: ports[i] }));
  return {
    members,
    health: (of: { port: number }) => get<Status>(of.port, '/health'),
    picture: (of: { port: number }) => get<GroupStatus>(of.port, '/group-health'),
    /** Each of these says so. */
    each: (of: { port: number; pid: number }[], is: (status: Status) => boolean) =>
      untilEach(
        of.map(({ port }) => port),
        of.map(({ pid }) => pid),
        is,
      ),
    /** One more process of the group, on the port of one that is gone. */
    replace: (port: number, more: Record<string, string> = {}): Running =>
      start(['bootstrap.js'], {
        cwd: projectFolder(project),
        env: { ...env, ...more, MIDWAY_PROCESS_AGENT_GROUP: group, PORT: String(port) },
      }),
    primary: async () => {
      const { pid } = await application.primary();
      const primary = members.find(member => member.pid === pid) as (typeof members)[number];
      return { primary, others: members.filter(member => member !== primary) };
    },
  };
}

/** Blocks one of four; the others say so in time, and are well when it goes on. */
async function aStuckOneIsToldByTheOthers(ports: number[], pids: number[]) {
  await untilEach(ports, pids, isWell);
  const { pid } = await get<{ pid: number }>(ports[0], '/stall?ms=2500');
  const blocked = Date.now();
  const others = pids.filter(each => each !== pid);
  const told = await untilEach(ports, others, fails);
  const after = Date.now() - blocked;
  console.log(`maxLag 1000: all others fail ${after} ms after one was blocked`);
  expect(after).toBeGreaterThan(900);
  expect(after).toBeLessThan(1500);
  for (const { namespace, reason } of told.values()) {
    expect(namespace).toBe('process-agent');
    expect(reason).toMatch(
      new RegExp(`^(worker|primary) pid ${pid} \\(member \\d+\\): its event loop has been stuck for \\d+ ms$`),
    );
  }
  await untilEach(ports, pids, isWell);
}

afterEach(killAll);

test.each(['v4', 'v3'] as const)(
  'Midway %s under ClusterManager: a stuck process fails the health of the others',
  async project => {
    const { application } = await clusterManager({ project, workers: 4 });
    const pids = (await application.fromEach<WhoAmI>('/whoami')).map(({ pid }) => pid);
    await aStuckOneIsToldByTheOthers(application.ports, pids);
  },
);

describe('under pm2', () => {
  let pm2: Pm2;
  let current: Deployed;
  const pids = async () => (await current.application.fromEach<WhoAmI>('/whoami')).map(({ pid }) => pid);
  beforeAll(async () => {
    pm2 = new Pm2();
    current = await pm2.start({ mode: 'cluster', instances: 4 });
  });
  afterAll(() => pm2.kill());

  test('a stuck process fails the health of the others', async () => {
    await aStuckOneIsToldByTheOthers(current.application.ports, await pids());
  });

  test('a process that was killed is abnormal until pm2 has replaced it', async () => {
    const [first, ...others] = await pids();
    process.kill(first, 'SIGKILL');
    const told = await untilEach(current.application.ports, others, fails);
    expect([...told.values()][0].reason).toContain(`pid ${first}`);
    await untilEach(current.application.ports, others, isWell);
    await until(async () => (await pids()).length === 4, { what: 'the replacement' });
    await untilEach(current.application.ports, await pids(), isWell);
  });

  test('a scale-down says goodbye', async () => {
    await pm2.run('scale', 'api', '2');
    const left = (await pm2.list()).filter(({ status }) => status === 'online').map(({ pid }) => pid);
    expect(left).toHaveLength(2);
    for (let i = 0; i < 20; i++) {
      expect(await get<Status>(current.application.ports[0], '/health')).toMatchObject({ status: true });
    }
  });
});

test.each(['v4', 'v3'] as const)(
  'Midway %s: a check that fails in one process fails the health of all, by its name',
  async project => {
    const { members, health, picture, each } = await four(project);
    const [one, ...others] = members;
    await each(members, isWell);
    await get(one.port, '/check?reason=no-database');
    const told = await each(others, fails);
    for (const { reason, namespace } of told.values()) {
      expect(namespace).toBe('process-agent');
      expect(reason).toMatch(new RegExp(`pid ${one.pid} .*: check __main__ fails: no-database$`));
    }
    const own = await health(one);
    expect(own).toMatchObject({ status: false, reason: 'no-database' });
    expect(own.results.find(({ namespace }) => namespace === 'process-agent')).toMatchObject({ status: true });
    const seen = await picture(others[0]);
    expect(seen.members.map(({ member, state }) => [member.pid, state])).toEqual(
      expect.arrayContaining(members.map(({ pid }) => [pid, pid === one.pid ? 'failing' : 'ok'])),
    );
    expect(seen.members.every(({ checks }) => checks?.some(({ namespace }) => namespace === '__main__'))).toBe(true);

    // A check that does not answer is reported by its own process, in time for the others.
    await get(one.port, '/check?delay=5000');
    const began = Date.now();
    const slow = await each(
      others,
      ({ status, reason }) => !status && /no answer within 800 ms/.test(reason as string),
    );
    expect(slow.size).toBe(3);
    expect(Date.now() - began).toBeLessThan(3500);
    await get(one.port, '/check');
    await each(members, isWell);
  },
);

test.each(['v4', 'v3'] as const)('Midway %s: deaths, exits and goodbyes', async project => {
  const { members, each, replace, picture } = await four(project);
  const [first, second, third, fourth] = members;
  await each(members, isWell);
  first.running.child.kill('SIGKILL');
  const told = await each([second, third, fourth], fails);
  expect([...told.values()][0].reason).toMatch(
    new RegExp(`pid ${first.pid} \\(member \\d+\\): it died \\d+ ms ago, without a goodbye$`),
  );
  const seen = await picture(second);
  expect(seen).toMatchObject({ status: false, policy: { name: 'all', status: false } });
  expect(seen.members.find(({ state }) => state === 'dead')?.member.pid).toBe(first.pid);

  // The replacement is slow to start, and keeps its event loop for longer than maxLag: that is no fault.
  const next = replace(first.port, { START_BLOCK: '2000' });
  await each([second, third, fourth], isWell);
  expect((await picture(second)).members.find(({ member }) => member.pid === next.pid)?.state).toBe('starting');
  const untilStuck = Date.now() + 1400;
  while (Date.now() < untilStuck) {
    const asked = Date.now();
    expect(await get<Status>(third.port, '/health')).toMatchObject({ status: true });
    expect(Date.now() - asked).toBeLessThan(500);
  }
  await each([{ pid: next.pid, port: first.port }, second, third, fourth], isWell);

  await get(second.port, '/exit?code=0');
  await second.running.exited;
  await each([third, fourth], isWell);
  fourth.running.child.kill('SIGTERM');
  await fourth.running.exited;
  await each([third], isWell);
  await get(first.port, '/exit?code=1');
  await next.exited;
  const last = await each([third], fails);
  expect(last.get(third.pid)?.reason).toContain(`pid ${next.pid}`);
});

test('the primary itself: stuck, frozen and killed', async () => {
  const { members, each, primary: find } = await four('v4');
  await each(members, isWell);
  const { primary, others } = await find();
  await get(primary.port, '/stall?ms=2000');
  const stuck = await each(others, fails);
  for (const { reason } of stuck.values()) {
    expect(reason).toMatch(new RegExp(`^primary pid ${primary.pid} .*: its event loop has been stuck`));
  }
  await each(members, isWell);

  primary.running.child.kill('SIGSTOP');
  const frozenAt = Date.now();
  const frozen = await each(others, fails);
  console.log(`maxLag 1000: all others fail ${Date.now() - frozenAt} ms after the primary was frozen`);
  expect(Date.now() - frozenAt).toBeLessThan(2500);
  for (const { reason } of frozen.values()) {
    expect(reason).toMatch(new RegExp(`^primary pid ${primary.pid} .*: its process is frozen`));
  }
  primary.running.child.kill('SIGCONT');
  await each(members, isWell);

  primary.running.child.kill('SIGKILL');
  const dead = await each(others, fails);
  for (const { reason } of dead.values()) {
    expect(reason).toMatch(new RegExp(`pid ${primary.pid} .*: it died \\d+ ms ago, without a goodbye$`));
  }
});

test('policy, minMembers and group: what they make of one that is frozen', async () => {
  const frozen = async (health: object) => {
    const { members, each, picture, primary } = await four('v4', health);
    await each(members, isWell);
    // Not the primary: while that is frozen nobody sees others die.
    const { primary: leader, others: rest } = await primary();
    const [worker, ...workers] = rest;
    worker.running.child.kill('SIGSTOP');
    const others = [leader, ...workers];
    const seen = await until(
      async () => {
        const found = await picture(others[0]);
        return found.members.some(({ state }) => state === 'frozen') ? found : undefined;
      },
      { what: 'the frozen one to be seen' },
    );
    return { seen, others, each };
  };
  const quorum = await frozen({ policy: 'quorum', minMembers: 4 });
  expect(quorum.seen).toMatchObject({ status: true, policy: { name: 'quorum', status: true } });
  await quorum.each(quorum.others, isWell);
  quorum.others[2].running.child.kill('SIGKILL');
  const told = await quorum.each(quorum.others.slice(0, 2), fails);
  expect([...told.values()][0].reason).toMatch(/^the group has 3 members, health.minMembers is 4; .*frozen.*; .*died/);
  await killAll();

  const alone = await frozen({ group: false });
  expect(alone.seen.status).toBe(false);
  await alone.each(alone.others, isWell);
});

test('in egg Midway is told of the hook', async () => {
  const { application } = await eggScripts({ workers: 2 });
  const [one, two] = await application.fromEach<Status>('/health');
  expect(one).toMatchObject({ status: true, results: [{ namespace: 'process-agent', status: true }] });
  process.kill(two.pid, 'SIGSTOP');
  const told = await untilEach(application.ports, [one.pid], fails);
  process.kill(two.pid, 'SIGCONT');
  expect(told.get(one.pid)?.reason).toContain(`pid ${two.pid}`);
});
