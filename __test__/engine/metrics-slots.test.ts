/** `memberLabel: 'slot'`: as many values of a label as there are members, whoever comes and goes. */
import { until } from '../support/until';
import { type Process, Processes } from './members';

const options = {
  client: 'prom-client-15',
  config: { metrics: { pushInterval: 100 }, primary: { maxBlocked: 60_000 } },
};

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

/** The pid of each slot. */
async function slots(asked: Process): Promise<Record<string, number>> {
  const { text } = await asked.run<{ text: string }>('scrape', { memberLabel: 'slot' });
  const ages = text.matchAll(/^process_agent_member_snapshot_age_seconds\{member="(\d+)",pid="(\d+)"\}/gm);
  const bySlot = Object.fromEntries([...ages].map(([, slot, pid]) => [slot, Number(pid)]));
  const labelled = [...text.matchAll(/^test_total\{.*member="([^"]+)"\}/gm)].map(([, member]) => member);
  expect(labelled.filter(member => member !== 'gone' && !(member in bySlot))).toEqual([]);
  return bySlot;
}

/** When as many are there. */
function slotsOf(asked: Process, ...pids: number[]): Promise<Record<string, number>> {
  const sorted = JSON.stringify(pids.sort());
  return until(
    async () => {
      const found = await slots(asked);
      return JSON.stringify(Object.values(found).sort()) === sorted ? found : undefined;
    },
    { what: `slots of ${sorted}`, every: 20 },
  );
}

test('a slot is given to the next that joins, and kept when the primary changes', async () => {
  const { primary, workers } = await processes.group(3, options);
  const [first, second, third] = workers;
  await Promise.all([primary, ...workers].map(each => each.run('count', 1)));
  const before = await slotsOf(first, primary.pid, first.pid, second.pid, third.pid);
  expect(Object.keys(before).sort()).toEqual(['0', '1', '2', '3']);
  const slotOf = (pid: number) => Object.keys(before).find(slot => before[slot] === pid) as string;

  second.child.kill('SIGKILL');
  await slotsOf(first, primary.pid, first.pid, third.pid);
  const next = processes.start(options);
  await next.started();
  const after = await slotsOf(first, primary.pid, first.pid, third.pid, next.pid);
  expect(after[slotOf(second.pid)]).toBe(next.pid);

  primary.child.kill('SIGKILL');
  const last = await slotsOf(first, first.pid, third.pid, next.pid);
  expect(last).toEqual(Object.fromEntries(Object.entries(after).filter(([, pid]) => pid !== primary.pid)));
});
