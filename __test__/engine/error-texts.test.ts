import { Processes } from './members';

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(() => processes.end());

const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    error => error.message,
  );

test('what a stop cuts off says what it was, and whether it may have run', async () => {
  const primary = processes.start({ starting: true });
  await primary.started();
  const worker = processes.start();
  await worker.started();
  const unsent = messageOf(worker.call('waits'));
  await worker.run('role');
  await worker.run('close');
  expect(await unsent).toBe('waits: the application has left its group; it was not sent.');
  expect(await messageOf(worker.call('late'))).toBe('late: the application has left its group; it was not sent.');
  const { workers } = await processes.group(1, { group: 'other' });
  const sent = messageOf(workers[0].call('never'));
  const gathered = messageOf(workers[0].run('gather', 'never', [], 20_000));
  await workers[0].call('pid');
  await workers[0].run('close');
  const cutOff =
    'the application has left its group before the reply came (processAgent.stopTimeout); it may have run.';
  expect([await sent, await gathered]).toEqual([`never: ${cutOff}`, `never: ${cutOff}`]);
});

test('a process that may not lead says soon that nobody is there who may, and fails with the same words', async () => {
  const alone = processes.start({ config: { candidate: false, readyTimeout: 3_000 } });
  const words =
    'group test has no primary that answers, and this process may not become one (processAgent.candidate is false): start a ' +
    'process of the group that may';
  const { text } = await alone.until('the warning', told => told.type === 'log' && told.level === 'warn');
  expect(text).toBe(`[process-agent] ${words}; waiting for it, for 3000 ms (processAgent.readyTimeout)`);
  const failed = await alone.until('its failure', told => told.type === 'failed');
  expect(failed.code).toBe('ERR_AGENT_NO_PRIMARY');
  expect(failed.message).toContain(
    `start: waited 3000 ms (processAgent.readyTimeout): ${words}; folder ${processes.runtimeDir}`,
  );
});

test('and starts as soon as one is there', async () => {
  const alone = processes.start({ decision: { candidate: false }, config: { readyTimeout: 20_000 } });
  const { text } = await alone.until('the warning', told => told.type === 'log' && told.level === 'warn');
  expect(text).toContain('(how it was started does not let it)');
  await processes.start().started();
  expect(await alone.started()).toMatchObject({ role: 'worker' });
});
