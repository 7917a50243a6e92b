/** Members that start as root and give that up later, as a process does that binds a low port first. */
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until';
import { type Process, Processes, type Told } from './members';

const NOBODY = 65534;
const asRoot = process.getuid?.() === 0 && process.platform === 'linux' ? test : test.skip;

let processes: Processes;
let folder: string;
beforeEach(() => {
  processes = new Processes();
  folder = mkdtempSync(join(tmpdir(), 'agent-privileges-'));
});
afterEach(async () => {
  await processes.end();
  rmSync(folder, { recursive: true, force: true });
});

const logs = (member: Process, part: string) =>
  member.told.filter(told => told.type === 'log' && told.text.includes(part) && told.level !== 'debug');
const isElected = (told: Told) => told.type === 'primary';

asRoot(
  'with processAgent.user, members that have given root up go on electing, and meet others (needs root)',
  async () => {
    // In a folder of root's that others may enter, as /tmp is.
    chmodSync(folder, 0o755);
    const config = { runtimeDir: join(folder, 'groups'), user: NOBODY };
    const { primary, workers } = await processes.group(2, { config });
    expect(statSync(config.runtimeDir)).toMatchObject({ uid: NOBODY });
    for (const member of [primary, ...workers]) {
      await member.run('becomeUser', NOBODY);
    }
    expect(await workers[0].call('pid')).toBe(primary.pid);
    primary.child.kill('SIGKILL');
    await primary.exited;
    const next = await Promise.any(workers.map(each => each.until('the election', isElected).then(() => each)));
    const other = workers.find(each => each !== next) as Process;
    expect(await other.call('pid')).toBe(next.pid);
    // One that is root, and one that never was.
    for (const uid of [undefined, NOBODY]) {
      const late = processes.start({ config, uid });
      expect((await late.started()).role).toBe('worker');
      expect(await late.call('pid')).toBe(next.pid);
    }
    expect(await next.run('members')).toHaveLength(4);
  },
);

asRoot(
  'without it, a primary that gives root up stays primary, and members say that they can not come back (needs root)',
  async () => {
    const { primary, workers } = await processes.group(1);
    const [worker] = workers;
    for (const member of [primary, worker]) {
      await member.run('becomeUser', NOBODY);
      await until(() => logs(member, `this process runs as user ${NOBODY} now`).length > 0, {
        what: 'the warning',
        every: 10,
      });
      expect(logs(member, 'processAgent.user')).toHaveLength(1);
    }
    // Another look at the folder, a second later, has not ended its tenure; root's processes still join it.
    const late = processes.start();
    await late.started();
    expect(await late.call('pid')).toBe(primary.pid);
    expect(await worker.call('pid')).toBe(primary.pid);
    expect(await primary.run('role')).toMatchObject({ role: 'primary' });

    primary.child.kill('SIGKILL');
    await late.until('the election', isElected);
    // It tries every second, and says once that this fails.
    const tries = () => worker.told.filter(told => told.type === 'log' && told.text.includes('still:')).length;
    await until(() => tries() >= 3, { what: 'three tries', every: 10 });
    expect(logs(worker, 'processAgent.user').map(told => told.level)).toEqual(['warn', 'error']);
  },
);
