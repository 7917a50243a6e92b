/** Midway gives no time to leave: nobody waits for it, and the process may exit in the turn in which it begins. */
import { until } from '../support/until';
import { type Process, Processes } from './members';

const options = { client: 'prom-client-15', config: { metrics: { pushInterval: 60_000 } } };

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

async function countedBy(member: Process): Promise<number> {
  const { text } = await member.run<{ text: string }>('scrape', {});
  return Number(/^test_total\{kind="a"\} (\d+)$/m.exec(text)?.[1]);
}

function isDead(seenBy: Process, pid: number): Promise<boolean> {
  return seenBy.run<{ pid: number; state: string }[]>('standings').then(all => all.some(each => each.pid === pid));
}

test.each(['worker', 'primary'] as const)(
  'a %s that exits in the turn in which it begins to leave has left, and has told its last numbers',
  async role => {
    const { primary, workers } = await processes.group(2, options);
    const goes = role === 'primary' ? primary : workers[0];
    await goes.run('count', 5);
    goes.run('stopAndExit', 3).catch(() => {});
    await goes.exited;
    await workers[1].until('its end', told => told.type === 'member-left' && told.pid === goes.pid);
    await until(async () => (await countedBy(workers[1])) === 5, { what: 'what it has counted' });
    expect(await isDead(workers[1], goes.pid)).toBe(false);
  },
);

test('a call that is made after the leave has begun is refused before anything else has a turn', async () => {
  const { primary, workers } = await processes.group(1, options);
  const refused = { code: 'ERR_AGENT_CLOSED', outcome: 'not-sent', role: undefined, tenure: undefined };
  expect(await workers[0].run('callWhileLeaving')).toMatchObject(refused);
  expect(await primary.run('callWhileLeaving')).toMatchObject(refused);
});
