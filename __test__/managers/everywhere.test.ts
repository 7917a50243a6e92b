import type { WhoAmI } from '../support/application';
import type { Deployed } from '../support/deployments';
import { killAll } from '../support/processes';
import { until } from '../support/until';
import { killPm2, startBy, type Way } from '../support/ways';

interface Outcome {
  pid: number;
  role: string;
  value?: { level: string; pid: number };
  failed?: { name: string; code: string; message: string; isRangeError: boolean };
}
type Set = { pid: number; code: string | null; message: string; outcomes: Outcome[] };

describe.each<Way>([
  'ClusterManager of Midway 3',
  'ClusterManager of Midway 4',
  'node:cluster, the application in its primary, too',
  'pm2 in cluster mode',
  'pm2 in fork mode',
])('what concerns all processes, under %s', way => {
  let current: Deployed;
  let primary: WhoAmI;
  let workers: WhoAmI[];
  let pids: number[];
  beforeAll(async () => {
    current = await startBy(way);
    ({ primary, workers } = await current.application.roles());
    pids = [primary, ...workers].map(each => each.pid).sort();
  });
  afterAll(async () => {
    await killAll();
    await killPm2();
  });

  const levels = async (from: number, how: 'gather' | 'in-all') => {
    const { outcomes } = await current.application.getFrom<Set>(from, `/everywhere/${how}`);
    expect(outcomes.every(each => each.value?.pid === each.pid)).toBe(true);
    expect(outcomes.map(each => each.pid).sort()).toEqual(pids);
    expect(outcomes.filter(each => each.role === 'primary').map(each => each.pid)).toEqual([primary.pid]);
    return outcomes.map(each => each.value?.level);
  };

  it('@RunInAll() reaches each of them, called in the primary or in a worker', async () => {
    for (const { pid, role } of [primary, workers[0]]) {
      const set = await current.application.getFrom<Set>(pid, `/everywhere/set?level=by-${role}`);
      expect(set).toEqual({ pid, threadId: 0, code: null });
      for (const from of pids) {
        expect(await levels(from, 'gather')).toEqual(pids.map(() => `by-${role}`));
        expect(await levels(from, 'in-all')).toEqual(pids.map(() => `by-${role}`));
      }
    }
  });

  it('@RunInAll() says which one has failed, and how, and that the others have done it', async () => {
    const path = `/everywhere/set?level=partly&trouble=throws&in=${workers[0].pid}`;
    for (const from of [workers[0].pid, workers[1].pid, primary.pid]) {
      const { code, message, outcomes } = await current.application.getFrom<Set>(from, path);
      expect(code).toBe('ERR_AGENT_PARTIAL');
      expect(message).toContain('failed in 1 of 3 members');
      expect(outcomes.map(each => each.pid).sort()).toEqual(pids);
      expect(outcomes.filter(each => each.failed)).toEqual([
        {
          pid: workers[0].pid,
          role: 'worker',
          failed: { name: 'RangeError', code: 'E_LEVEL', message: 'not in this process', isRangeError: true },
        },
      ]);
    }
    expect((await levels(primary.pid, 'gather')).sort()).toEqual(['by-worker', 'partly', 'partly']);
  });

  it.each(['hangs', 'is-stuck'])('@RunInAll() does not wait for one that %s', async trouble => {
    const path = `/everywhere/set?level=${trouble}&trouble=${trouble}&in=${workers[0].pid}`;
    const asked = Date.now();
    const { code, outcomes } = await current.application.getFrom<Set>(workers[1].pid, path);
    expect(Date.now() - asked).toBeLessThan(1_100);
    expect(code).toBe('ERR_AGENT_PARTIAL');
    expect(outcomes.map(each => each.pid).sort()).toEqual(pids);
    expect(outcomes.filter(each => each.failed)).toMatchObject([
      { pid: workers[0].pid, failed: { name: 'ProcessAgentError', code: 'ERR_AGENT_TIMEOUT' } },
    ]);
  });

  it('what one publishes all hear, itself included, in order, and say from whom', async () => {
    for (const { pid, role } of [primary, workers[1]]) {
      const text = `news-of-${role}`;
      await current.application.getFrom(pid, `/everywhere/publish?text=${text}&times=20`);
      for (const listener of pids) {
        type Heard = { news: { text: string; from: number }[] };
        const heard = () => current.application.getFrom<Heard>(listener, `/everywhere/heard?text=${text}`);
        await until(async () => (await heard()).news.length >= 20, { what: `${listener} to hear all`, every: 5 });
        const { news } = await heard();
        expect(news).toEqual(Array.from({ length: 20 }, (_, i) => ({ text: `${text} ${i}`, from: pid })));
      }
    }
  });
});
