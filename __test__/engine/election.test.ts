import { once } from 'node:events';
import { now, type Process, Processes, type Told } from './members';

const PROCESSES = 16;
const ROUNDS = Number(process.env.ELECTION_ROUNDS ?? 50);
/** How many primaries are killed in each round. */
const KILLS = 2;

jest.setTimeout(600_000);

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

async function kill(process: Process): Promise<number> {
  const at = now();
  process.child.kill('SIGKILL');
  await process.exited;
  return at;
}

/** The first answer that any of them had from a primary that is none of the dead. */
function firstAnswer(members: Process[], dead: Set<number>, since = 0): Promise<Told> {
  const isNew = (told: Told) => told.type === 'answer' && told.at > since && !dead.has(told.primary);
  return Promise.any(members.map(each => each.until('an answer', isNew)));
}

test(`of ${PROCESSES} processes exactly one is primary at any time, whoever is killed, and no epoch is held twice`, async () => {
  const heldBy = new Map<number, number>();
  const takeOver: number[] = [];
  let lastEpoch = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const members = Array.from({ length: PROCESSES }, () => processes.start());
    const started = await Promise.all(members.map(each => each.started()));
    expect(started.filter(({ role }) => role === 'primary')).toHaveLength(1);
    const dead = new Set<number>();
    for (const each of members) {
      each.child.send({ id: -1, command: 'watch', args: [] });
    }
    // Somebody has to be talking to the primary when it dies.
    let { primary } = await firstAnswer(members, dead);
    for (let killed = 0; killed < KILLS; killed++) {
      const diedAt = await kill(members.find(each => each.pid === primary) as Process);
      dead.add(primary);
      const survivors = members.filter(each => !dead.has(each.pid));
      const next = await firstAnswer(survivors, dead, diedAt);
      takeOver.push(next.at - diedAt);
      primary = next.primary;
      // Its own word that it is primary comes on another channel than the answer.
      const leader = survivors.find(each => each.pid === primary) as Process;
      await leader.until('its election', told => told.type === 'primary');
    }
    // Looked at from outside: everything that anybody said of having become primary.
    for (const member of members) {
      for (const told of member.told) {
        if (told.type === 'primary') {
          expect(heldBy.get(told.epoch) ?? told.pid).toBe(told.pid);
          heldBy.set(told.epoch, told.pid);
        }
      }
    }
    const epochs = [...heldBy.keys()];
    expect(Math.max(...epochs)).toBeGreaterThan(lastEpoch);
    lastEpoch = Math.max(...epochs);
    for (const each of members) {
      each.child.kill('SIGKILL');
    }
    await Promise.all(members.map(each => each.exited));
  }
  takeOver.sort((a, b) => a - b);
  const at = (share: number) => takeOver[Math.min(takeOver.length - 1, Math.floor(takeOver.length * share))].toFixed(1);
  process.stdout.write(
    `\nfrom a primary's death to the first answer of the next, ${takeOver.length} deaths among ${PROCESSES} processes, ms: ` +
      `p50 ${at(0.5)}, p90 ${at(0.9)}, p99 ${at(0.99)}, max ${at(1)}; ${heldBy.size} epochs, none held twice\n`,
  );
  expect(heldBy.size).toBeGreaterThanOrEqual(ROUNDS * (1 + KILLS));
});

test('a folder that is removed below a live primary does not make two primaries', async () => {
  const { rmSync } = await import('node:fs');
  const { primary, workers } = await processes.group(2);
  const { folder } = await primary.run<{ folder: string }>('explain');
  const { epoch } = await primary.started();
  rmSync(folder, { recursive: true });
  const late = processes.start();
  await late.started();
  const members = [primary, ...workers, late];
  // Everybody comes together again under one new epoch.
  const next = (await late.started()).epoch;
  expect(next).toBeGreaterThan(epoch);
  await Promise.all(
    members.map(each => each.until('the new epoch', told => told.epoch === next && told.type !== 'log')),
  );
  const roles = await Promise.all(members.map(each => each.run<{ role: string; epoch: number }>('role')));
  expect(roles.filter(({ role }) => role === 'primary')).toHaveLength(1);
  expect(new Set(roles.map(each => each.epoch))).toEqual(new Set([next]));
});

test('a socket that is removed below a live primary makes an election, and new processes can join again', async () => {
  const { rmSync } = await import('node:fs');
  const { primary, workers } = await processes.group(1);
  const { folder } = await primary.run<{ folder: string }>('explain');
  const { epoch } = await primary.started();
  rmSync(`${folder}/socket`);
  const late = processes.start();
  expect((await late.started()).epoch).toBeGreaterThan(epoch);
  const roles = await Promise.all(
    [primary, workers[0], late].map(async each => {
      await each.until('the new epoch', told => told.epoch > epoch);
      return each.run<{ role: string }>('role');
    }),
  );
  expect(roles.filter(({ role }) => role === 'primary')).toHaveLength(1);
});

test('a runtime folder whose path is too long for a socket fails the start by name, at once', async () => {
  const { join } = await import('node:path');
  const { mkdirSync } = await import('node:fs');
  const long = join(processes.runtimeDir, 'x'.repeat(100));
  mkdirSync(long, { mode: 0o700 });
  const member = processes.start({ config: { runtimeDir: long } });
  const failed = await member.until('its failure', told => told.type === 'failed', 10_000);
  expect(failed).toMatchObject({ code: 'ERR_AGENT_RUNTIME_DIR', message: expect.stringContaining(long) });
});

test('a process closes quickly while the primary is frozen', async () => {
  const { primary } = await processes.group(0);
  primary.child.kill('SIGSTOP');
  const member = processes.start();
  const trying = await member.until('its try', told => told.type === 'trying');
  // Closing makes its start fail, and with that it ends.
  member.child.send({ id: 0, command: 'close', args: [] });
  await member.exited;
  expect(now() - trying.at).toBeLessThan(1500);
});

test('two groups of one user never meet', async () => {
  const one = processes.start({ group: 'one' });
  const two = processes.start({ group: 'two' });
  expect((await one.started()).role).toBe('primary');
  expect((await two.started()).role).toBe('primary');
  expect(await one.run('members')).toMatchObject([{ pid: one.pid }]);
});

test('a process with nothing else to do exits by itself', async () => {
  const idle = processes.start({ idle: true });
  const [code] = await once(idle.child, 'exit');
  expect(code).toBe(0);
});

const asRoot = process.getuid?.() === 0 ? test : test.skip;

asRoot('a folder that belongs to another user is refused by name (needs root)', async () => {
  const { mkdirSync, chownSync } = await import('node:fs');
  const { join } = await import('node:path');
  const foreign = join(processes.runtimeDir, 'foreign');
  mkdirSync(foreign, { mode: 0o700 });
  chownSync(foreign, 65534, 65534);
  const member = processes.start({ config: { runtimeDir: foreign } });
  const failed = await member.until('its failure', told => told.type === 'failed');
  expect(failed).toMatchObject({ code: 'ERR_AGENT_RUNTIME_DIR' });
  expect(failed.message).toContain(foreign);
  expect(failed.message).toContain('belongs to user 65534');
});

asRoot("another user's process that reaches the socket is turned away (needs root)", async () => {
  const { chmodSync } = await import('node:fs');
  const { execFileSync } = await import('node:child_process');
  const { primary } = await processes.group(0);
  const { folder } = await primary.run<{ folder: string }>('explain');
  // What should keep it out is the folder; open it, so that only the check of credentials is left.
  chmodSync(processes.runtimeDir, 0o755);
  chmodSync(folder, 0o755);
  chmodSync(`${folder}/socket`, 0o777);
  const connect = `const s = require('net').connect(${JSON.stringify(`${folder}/socket`)});
    s.on('close', () => console.log('closed')); s.on('error', () => {}); s.on('data', () => console.log('data'));
    s.write('x')`;
  const printed = execFileSync(process.execPath, ['-e', connect], { uid: 65534, gid: 65534, timeout: 20_000 });
  expect(String(printed)).toBe('closed\n');
  await primary.until('the warning', told => told.type === 'log' && told.text.includes('belongs to user 65534'));
});
