/** What belongs to a process, several of whose threads are members with `collectDefaultMetrics()`, against the kernel. */
import { readdirSync, readFileSync } from 'node:fs';
import { workerThreads } from '../support/deployments';
import { sample, scrape } from '../support/metrics';
import { killAll } from '../support/processes';

const onLinux = process.platform === 'linux' ? test : test.skip;

afterAll(killAll);

onLinux('three threads have the memory, the descriptors and the processor time of one process', async () => {
  const { application, processes } = await workerThreads({ project: 'v4' });
  const { pid } = processes[0];
  // Each has told its numbers when this one has been answered.
  await scrape(application);
  const before = kernel(pid);
  const first = await scrape(application);
  await Promise.all(application.ports.map(port => fetch(`http://127.0.0.1:${port}/whoami`)));
  const second = await scrape(application);
  const after = kernel(pid);

  expect(sample(second, 'process_agent_members{state="ready"}')).toBe(3);
  const resident = sample(second, 'process_resident_memory_bytes') as number;
  expect(resident).toBeGreaterThan(before.resident * 0.7);
  expect(resident).toBeLessThan(after.resident * 1.3);
  expect(sample(second, 'process_open_fds')).toBeLessThan(after.descriptors * 1.5);
  expect(sample(second, 'process_max_fds')).toBe(after.mostDescriptors);
  // A tick is 10 ms, and a counter begins when its thread does.
  const used =
    (sample(second, 'process_cpu_seconds_total') as number) - (sample(first, 'process_cpu_seconds_total') as number);
  expect(used).toBeGreaterThan(0);
  expect(used).toBeLessThan(after.seconds - before.seconds + 0.03);
  expect(sample(second, 'process_cpu_seconds_total')).toBeLessThan(after.seconds + 0.03);
});

function kernel(pid: number) {
  const of = (file: string) => readFileSync(`/proc/${pid}/${file}`, 'utf8');
  const [user, system] = of('stat').split(') ')[1].split(' ').slice(11, 13).map(Number);
  return {
    resident: Number(/VmRSS:\s+(\d+)/.exec(of('status'))?.[1]) * 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    mostDescriptors: Number(/Max open files\s+(\d+)/.exec(of('limits'))?.[1]),
    seconds: (user + system) / 100,
  };
}
