import { type Deployed, plainNode } from '../support/deployments';
import { get } from '../support/http';
import { killAll } from '../support/processes';
import { expectAnotherPrimaryAfterDeath, keepsTheBasicPromises, onePrimary } from '../support/promises';

/** No other run may have the same group: runs on one machine would meet. */
const group = `configured-${process.pid}-${Date.now()}`;

describe.each(['v3', 'v4'] as const)('plain node processes with one group name, Midway %s', project => {
  let current: Deployed;
  beforeAll(async () => {
    current = await plainNode({ project, group: `${group}-${project}` });
  });
  afterAll(killAll);

  keepsTheBasicPromises(() => current, { deployment: 'configured' });

  it('has another primary after SIGKILL of the primary, until one is left', async () => {
    await expectAnotherPrimaryAfterDeath(current.application, 3);
    await expectAnotherPrimaryAfterDeath(current.application, 2);
  });
});

describe('what a host may have lying about', () => {
  afterEach(killAll);

  it('starts where a run was killed and left its lock and socket', async () => {
    const name = `${group}-stale`;
    const killed = await plainNode({ group: name, workers: 2 });
    const before = await killed.application.primary();
    await Promise.all(killed.processes.map(one => one.kill()));

    const next = await plainNode({ group: name, workers: 2 });
    const after = await next.application.primary();
    expect(after.epoch).toBeGreaterThan(before.epoch);
    const { value } = await next.application.get('/get');
    expect(value).toBe(0);
  });

  it('calls the primary whatever HTTP proxy the environment names', async () => {
    // Nobody listens there: a request through it fails or hangs.
    const proxy = 'http://127.0.0.1:9';
    const env = { HTTP_PROXY: proxy, http_proxy: proxy, HTTPS_PROXY: proxy, ALL_PROXY: proxy };
    const { application } = await plainNode({ group: `${group}-proxy`, workers: 2, env });
    await application.get('/set?value=direct');
    for (const { value } of await application.fromEach('/get')) {
      expect(value).toBe('direct');
    }
  });

  it('keeps two applications on one host apart', async () => {
    const one = await plainNode({ group: `${group}-one`, workers: 2 });
    const two = await plainNode({ group: `${group}-two`, workers: 2 });
    await one.application.get('/set?value=one');
    await two.application.get('/set?value=two');
    expect((await one.application.fromEach('/get')).map(answer => answer.value)).toEqual(['one', 'one']);
    expect((await two.application.fromEach('/get')).map(answer => answer.value)).toEqual(['two', 'two']);
  });

  it('lets a process that joins later into the group', async () => {
    const name = `${group}-late`;
    const early = await plainNode({ group: name, workers: 1 });
    const primary = await early.application.primary();
    await early.application.get('/set?value=early');
    const late = await plainNode({ group: name, workers: 1 });
    expect(await late.application.get('/get')).toMatchObject({ value: 'early', executedBy: primary.pid });
  });
});

describe('calls between processes', () => {
  let current: Deployed;
  let worker: number;
  beforeAll(async () => {
    current = await plainNode({ group: `${group}-calls`, workers: 2 });
    const primary = await onePrimary(current.application, 2);
    const port = await workersPort(current, primary.pid);
    worker = port;
  });
  afterAll(killAll);

  it.each([0, 1, 100, 16 * 1024, 64 * 1024, 1024 * 1024, 16 * 1024 * 1024])(
    'carry %d bytes there and back',
    async bytes => {
      expect(await get(worker, `/echo-size?bytes=${bytes}`)).toMatchObject({ equal: true, bytes });
    },
  );

  it('bring null and undefined back as they are', async () => {
    expect(await get(worker, '/null')).toMatchObject({ isNull: true });
    expect(await get(worker, '/undefined')).toMatchObject({ isUndefined: true });
  });

  it.each([
    ['null', { isError: false, value: null, type: 'null' }],
    ['undefined', { isError: false, type: 'undefined' }],
    ['string', { isError: false, value: 'a string', type: 'string' }],
    ['http', { isError: true, name: 'NotFoundError', message: 'nothing here', status: 404 }],
    [
      'error',
      {
        isError: true,
        isTypeError: true,
        name: 'TypeError',
        message: 'a broken promise',
        code: 'E_BROKEN',
        detail: { answer: 42 },
      },
    ],
  ])('bring a thrown %s to the caller', async (kind, thrown) => {
    expect(await get(worker, `/fail?kind=${kind}`)).toMatchObject({ thrown });
  });

  it('end with an outcome when the primary dies while it runs them', async () => {
    const primary = await current.application.primary();
    const hanging = get<{ thrown: { name: string; code: string; outcome: string } }>(worker, '/hang');
    // The primary has accepted the call once a later one of the same member has been answered: calls keep their order.
    await get(worker, '/get');
    process.kill(primary.pid, 'SIGKILL');
    const { thrown } = await hanging;
    expect(thrown).toMatchObject({ name: 'ProcessAgentError', outcome: 'unknown' });
  });
});

async function workersPort({ application }: Deployed, primary: number): Promise<number> {
  for (const port of application.ports) {
    const { pid } = await get<{ pid: number }>(port, '/whoami');
    if (pid !== primary) {
      return port;
    }
  }
  throw new Error('no port of a worker');
}
