import { createServer } from 'node:http';
import { connect } from 'node:net';
import { freePorts, get, request } from '../support/http';
import { until } from '../support/until';
import { type MemberOptions, now, type Process, Processes } from './members';

let processes: Processes;
let port: number;
beforeEach(async () => {
  processes = new Processes();
  [port] = await freePorts(1);
});
afterEach(() => processes.end());

interface Health {
  /** The answer's. */
  code: number;
  status: boolean;
  reason?: string;
  policy: { name: string; status: boolean };
  members: { member: { pid: number; role: string }; state: string; checks?: object[]; reason?: string }[];
}

function options(config: object = {}): MemberOptions {
  return { client: 'prom-client-15', config: { admin: { port }, ...config } };
}

async function health(): Promise<Health> {
  const { status, body } = await request(port, '/health');
  return { code: status, ...JSON.parse(body) };
}

/** Asks until the group does as expected. */
function untilHealth(what: string, is: (health: Health) => boolean): Promise<Health> {
  return until(
    async () => {
      const said = await health();
      return is(said) ? said : undefined;
    },
    { what, every: 10 },
  );
}

const untilWell = (members: number) =>
  untilHealth(
    'a group that is well',
    ({ members: all }) => all.filter(({ state }) => state === 'ok').length === members,
  );

/** Who answers now; and how long (ms) after `since` that was. */
async function untilAnswered(since: number): Promise<{ pid: number; after: number }> {
  const { pid } = await until(() => get<{ pid: number }>(port, '/live', 500), { what: 'an answer', every: 2 });
  return { pid, after: now() - since };
}

/** The metrics that do not change by themselves. */
const lasting = (text: string) => text.replace(/^process_agent_.*$/gm, '');

test('the primary tells of the whole group', async () => {
  const { primary, workers } = await processes.group(3, options());
  const all = [primary, ...workers];
  await Promise.all(all.map((each, i) => each.run('count', i + 1)));
  const well = await untilWell(4);
  expect(well).toMatchObject({ code: 200, status: true, policy: { name: 'all', status: true } });
  expect(new Set(well.members.map(({ member }) => member.pid))).toEqual(new Set(all.map(({ pid }) => pid)));
  for (const { checks } of well.members) {
    expect(checks).toEqual([{ namespace: 'test', status: true }]);
  }
  expect(await get(port, '/live')).toEqual({ pid: primary.pid, epoch: expect.any(Number) });
  const { members, group } = await get<{ group: string; members: { lagMs: number }[] }>(port, '/members');
  expect(group).toBe('test');
  const known = await workers[0].run<object[]>('members');
  expect(members).toEqual(known.map(each => ({ ...each, lagMs: expect.any(Number) })));

  for (const format of ['text', 'openmetrics']) {
    const accept = format === 'text' ? 'text/plain' : 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5';
    const { status, body } = await request(port, '/metrics', { headers: { accept } });
    const scraped = await workers[0].run<{ text: string }>('scrape', { format });
    expect(status).toBe(200);
    expect(lasting(body)).toBe(lasting(scraped.text));
    expect(body).toContain('test_total{kind="a"} 10\n');
    expect(body).toMatch(/^process_agent_members\{state="ready"\} 4$/m);
  }
  for (const path of ['/', '/health/group']) {
    expect((await request(port, path)).status).toBe(404);
  }
});

test('a format, and series by member, are as they are configured, whatever the client would like', async () => {
  const { primary } = await processes.group(1, options({ metrics: { format: 'openmetrics', memberLabel: true } }));
  await primary.run('count', 1);
  const { body } = await request(port, '/metrics', { headers: { accept: 'text/plain' } });
  expect(body).toMatch(new RegExp(`^test_total\\{.*member="${primary.pid}".*\\} 1$`, 'm'));
  expect(body).toMatch(/# EOF\n$/);
});

test('it answers while every event loop of the group is stuck, the one of the primary too', async () => {
  const { primary, workers } = await processes.group(2, options({ metrics: { pushInterval: 100 } }));
  const all = [primary, ...workers];
  await untilWell(3);
  await Promise.all(all.map((each, i) => each.run('count', i + 1)));
  expect((await request(port, '/metrics')).body).toContain('test_total{kind="a"} 6\n');
  for (const each of all) {
    each.run('block', Number.POSITIVE_INFINITY).catch(() => {});
    await each.until('its block', told => told.type === 'blocked');
  }
  const blocked = now();
  const stuck = await untilHealth('all to be stuck', ({ members }) => members.every(({ state }) => state === 'stuck'));
  console.log(`maxLag 1000: all stuck ${(now() - blocked).toFixed(0)} ms after the last was blocked`);
  expect(stuck).toMatchObject({ code: 503, status: false });
  for (const each of all) {
    expect(stuck.reason).toMatch(
      new RegExp(`pid ${each.pid} \\(member \\d\\): its event loop has been stuck for \\d+ ms`),
    );
  }
  let asked = now();
  expect((await health()).code).toBe(503);
  expect((await request(port, '/live')).status).toBe(200);
  expect((await get<{ members: object[] }>(port, '/members')).members).toHaveLength(3);
  // Nobody is waited for.
  expect(now() - asked).toBeLessThan(800);

  asked = now();
  const { status, body } = await request(port, '/metrics');
  const took = now() - asked;
  console.log(`timeout 1000: metrics of a group that is stuck took ${took.toFixed(0)} ms`);
  expect(status).toBe(200);
  expect(took).toBeGreaterThan(990);
  expect(took).toBeLessThan(1300);
  expect(body).toContain('test_total{kind="a"} 6\n');
  for (const { pid } of all) {
    const age = body.match(new RegExp(`snapshot_age_seconds\\{member="${pid}",pid="${pid}"\\} (.*)`))?.[1];
    expect(Number(age)).toBeGreaterThan(1);
  }
}, 60_000);

test('checks that fail, a death and a policy make it fail or not', async () => {
  const { primary, workers } = await processes.group(3, options({ health: { policy: 'quorum', minMembers: 2 } }));
  await untilWell(4);
  await workers[0].run('setChecks', [{ namespace: 'db', status: false, reason: `no database ${'x'.repeat(5000)}` }]);
  expect(await health()).toMatchObject({ code: 200, policy: { name: 'quorum', status: true } });
  await primary.run('setChecks', [{ namespace: 'db', status: false, reason: 'no database' }]);
  const failing = await health();
  expect(failing.code).toBe(503);
  expect(failing.reason).toContain(`primary pid ${primary.pid} (member 1): check db fails: no database`);
  expect(failing.reason).toMatch(/check db fails: no database x{5000}/);
  await primary.run('setChecks', []);
  await workers[0].run('setChecks', []);
  expect((await health()).code).toBe(200);
  for (const each of workers.slice(0, 2)) {
    each.child.kill('SIGKILL');
  }
  const dead = await untilHealth('two deaths', ({ code }) => code === 503);
  expect(dead.members.map(({ state }) => state)).toEqual(['ok', 'ok', 'dead', 'dead']);
});

test('the next primary answers within a second after the last one was killed, also when a client stays connected', async () => {
  const { primary, workers } = await processes.group(4, options());
  await untilWell(5);
  let leader: Process = primary;
  const took: number[] = [];
  for (let round = 0; round < 3; round++) {
    const staying = connect(port, '127.0.0.1').on('error', () => {});
    staying.write('GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await new Promise(resolve => staying.once('data', resolve));
    const killed = now();
    leader.child.kill('SIGKILL');
    const { pid, after } = await untilAnswered(killed);
    console.log(`answered ${after.toFixed(0)} ms after the primary was killed`);
    took.push(after);
    expect(pid).not.toBe(leader.pid);
    leader = workers.find(each => each.pid === pid) as Process;
    staying.destroy();
  }
  // A busy machine may take its time, but not each time.
  expect(took.sort((a, b) => a - b)[1]).toBeLessThan(1000);
});

test('a primary that hands over leaves the port to the next one, and the last that stops frees it', async () => {
  const { primary, workers } = await processes.group(1, options());
  await untilWell(2);
  const began = now();
  const stopped = primary.run('stop');
  const { after } = await until(
    async () => {
      const answered = await untilAnswered(began);
      return answered.pid === workers[0].pid ? answered : undefined;
    },
    { what: 'the next primary', every: 2 },
  );
  console.log(`answered ${after.toFixed(0)} ms after the hand-over began`);
  expect(after).toBeLessThan(1000);
  await stopped;
  await workers[0].run('stop');
  // Both processes live, and neither has anything of it left.
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  await new Promise(resolve => server.close(resolve));
});

test('when a stuck primary is relieved, the next one answers, and says that it is stuck', async () => {
  const { primary, workers } = await processes.group(2, options({ primary: { maxBlocked: 1500 } }));
  await untilWell(3);
  primary.run('block', Number.POSITIVE_INFINITY).catch(() => {});
  const said = await untilHealth('another primary that tells', ({ members }) =>
    members.some(({ member, state }) => member.pid === primary.pid && member.role === 'worker' && state === 'stuck'),
  );
  expect(said.reason).toContain(`worker pid ${primary.pid} `);
  expect(workers.map(({ pid }) => pid)).toContain((await get<{ pid: number }>(port, '/live')).pid);
}, 60_000);

test('a port that somebody else has is reported once, and a worker and a group without an endpoint take none', async () => {
  const squatter = createServer((_, response) => response.end('{"pid":0}'));
  await new Promise<void>(resolve => squatter.listen(port, '127.0.0.1', resolve));
  const { primary } = await processes.group(1, options());
  const isComplaint = ({ type, text }: { type: string; text?: string }) =>
    type === 'log' && text?.includes(`can't listen on 127.0.0.1:${port}`) === true;
  const { text } = await primary.until('its complaint', isComplaint);
  expect(text).toContain('processAgent.admin.port');
  squatter.close();
  squatter.closeAllConnections();
  expect((await untilAnswered(now())).pid).toBe(primary.pid);
  expect(processes.all.flatMap(({ told }) => told).filter(isComplaint)).toHaveLength(1);
});
