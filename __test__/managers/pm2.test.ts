import type { WhoAmI } from '../support/application';
import type { Deployed } from '../support/deployments';
import { Pm2 } from '../support/pm2';
import { expectAnotherPrimaryAfterDeath, keepsTheBasicPromises, onePrimary } from '../support/promises';
import { until } from '../support/until';

let pm2: Pm2;
let current: Deployed;
beforeAll(() => {
  pm2 = new Pm2();
});
afterAll(() => pm2.kill());

describe('pm2 in cluster mode', () => {
  beforeAll(async () => {
    current = await pm2.start({ name: 'cluster-mode', mode: 'cluster', instances: 3 });
  });
  afterAll(() => pm2.run('delete', 'cluster-mode'));

  keepsTheBasicPromises(() => current, { deployment: 'pm2-cluster' });

  it('has another primary after SIGKILL of the primary', async () => {
    await expectAnotherPrimaryAfterDeath(current.application, 3);
  });

  it('has one primary among the new processes after reload, without a failed request', async () => {
    const { application } = current;
    const before = new Set((await application.fromEach<WhoAmI>('/whoami')).map(member => member.pid));
    const load = underLoad(() => application.get('/count'));
    await pm2.run('reload', 'cluster-mode');
    await until(async () => (await running()).every(pid => !before.has(pid)), { what: 'new processes after reload' });
    const primary = await onePrimary(application, 3);
    expect(before.has(primary.pid)).toBe(false);
    expect(await load.stop()).toEqual([]);
  });

  it('goes on when scaled up and down', async () => {
    const { application } = current;
    await pm2.run('scale', 'cluster-mode', '5');
    await onePrimary(application, 5);
    await application.firstAnswer('/set?value=scaled');
    await pm2.run('scale', 'cluster-mode', '2');
    await until(async () => (await running()).length === 2, { what: 'two processes to be left' });
    const primary = await onePrimary(application, 2);
    for (const answer of await application.fromEach('/get', 2)) {
      expect(answer.executedBy).toBe(primary.pid);
    }
  });

  it('goes on when instance 0, or what is left of the lowest, is deleted', async () => {
    const { application } = current;
    const [lowest] = (await pm2.list()).map(one => one.pm_id).sort((a, b) => a - b);
    await pm2.run('delete', String(lowest));
    await until(async () => (await running()).length === 1, { what: 'one process to be left' });
    const primary = await onePrimary(application, 1);
    expect(await application.firstAnswer('/set?value=alone')).toMatchObject({ executedBy: primary.pid });
    expect(await application.get('/get')).toMatchObject({ value: 'alone', executedBy: primary.pid });
  });
});

describe('pm2 in fork mode', () => {
  beforeAll(async () => {
    current = await pm2.start({ name: 'fork-mode', mode: 'fork', instances: 3 });
  });
  afterAll(() => pm2.run('delete', 'fork-mode'));

  keepsTheBasicPromises(() => current, { deployment: 'pm2-fork' });

  it('goes on after instance 0 is deleted', async () => {
    const { application } = current;
    const list = await pm2.list();
    const [first] = list.sort((a, b) => a.pm_id - b.pm_id);
    await pm2.run('delete', String(first.pm_id));
    const primary = await onePrimary(application, 2);
    expect(primary.pid).not.toBe(first.pid);
    await application.firstAnswer('/set?value=without-0');
    for (const answer of await application.fromEach('/get', 2)) {
      expect(answer).toMatchObject({ value: 'without-0', executedBy: primary.pid });
    }
  });

  it('has another primary after SIGKILL of the primary', async () => {
    await expectAnotherPrimaryAfterDeath(current.application, 2);
  });
});

describe('pm2 with a renamed instance variable', () => {
  beforeAll(async () => {
    current = await pm2.start({ name: 'renamed', mode: 'cluster', instances: 2, instanceVar: 'MY_INSTANCE' });
  });
  afterAll(() => pm2.run('delete', 'renamed'));

  keepsTheBasicPromises(() => current, { deployment: 'pm2-cluster' });
});

describe('ClusterManager inside a pm2 application in fork mode', () => {
  beforeAll(async () => {
    current = await pm2.start({
      name: 'nested',
      mode: 'fork',
      instances: 1,
      script: 'manager.js',
      env: { WORKERS: '3' },
      members: 3,
    });
  });
  afterAll(() => pm2.run('delete', 'nested'));

  keepsTheBasicPromises(() => current, { deployment: 'midway-cluster' });

  it('has another primary after SIGKILL of the primary', async () => {
    await expectAnotherPrimaryAfterDeath(current.application, 3);
  });
});

describe('two applications under one pm2', () => {
  it('never meet', async () => {
    const one = await pm2.start({ name: 'one', mode: 'cluster', instances: 2 });
    const two = await pm2.start({ name: 'two', mode: 'cluster', instances: 2 });
    await one.application.get('/set?value=one');
    await two.application.get('/set?value=two');
    for (const { value } of await one.application.fromEach('/get')) {
      expect(value).toBe('one');
    }
    for (const { value } of await two.application.fromEach('/get')) {
      expect(value).toBe('two');
    }
    expect((await one.application.primary()).group).not.toBe((await two.application.primary()).group);
    await pm2.run('delete', 'one', 'two');
  });
});

/** The processes of the current application that pm2 says are running. */
async function running(): Promise<number[]> {
  return (await pm2.list()).filter(one => one.status === 'online').map(one => one.pid);
}

/** Sends one request after another until stopped; gives back what failed. */
function underLoad(request: () => Promise<unknown>) {
  const failures: string[] = [];
  let stopped = false;
  const loop = (async () => {
    while (!stopped) {
      await request().catch(error => failures.push(String(error)));
    }
  })();
  return {
    async stop() {
      stopped = true;
      await loop;
      return failures;
    },
  };
}
