/**
 * A stop must cost those who ask nothing that it does not cost them without this package: each time the same
 * application without it is reloaded in the same way.
 */
import { type Counted, KeepAliveLoad } from '../support/keep-alive-load';
import { Pm2 } from '../support/pm2';
import { isAlive } from '../support/processes';
import { until } from '../support/until';

const RELOADS = Number(process.env.STOP_RELOADS ?? 1);
const INSTANCES = Number(process.env.STOP_INSTANCES ?? 2);

const APPLICATIONS: { project: 'v3' | 'v4'; what: string; env: Record<string, string> }[] = [
  { project: 'v3', what: 'an application', env: {} },
  { project: 'v4', what: 'an application', env: {} },
  { project: 'v4', what: 'one whose other components are closed by then', env: { COMPONENT_STOPS: '1' } },
];

test.each(APPLICATIONS)(
  `pm2 reload under keep-alive load answers no error more than without the component: $what, Midway $project`,
  async ({ project, what, env }) => {
    const without = await reload(project, { ...env, WITHOUT_COMPONENT: '1' });
    const withIt = await reload(project, env);
    console.info(`${RELOADS} reloads of ${INSTANCES}, Midway ${project}, ${what}:`, { without, with: withIt });
    expect(withIt.failed).toBeLessThanOrEqual(without.failed);
    expect(withIt.answered).toBeGreaterThan(0);
    // At most what was under way on each connection when its process ended. Others find nobody that listens, while pm2 has
    // ended one process and the next is not there yet: so it is without the component as well.
    expect(withIt.cut).toBeLessThanOrEqual(without.cut + 16 * INSTANCES * RELOADS);
  },
  120_000 + RELOADS * 60_000,
);

async function reload(project: 'v3' | 'v4', env: Record<string, string>): Promise<Counted> {
  const pm2 = new Pm2();
  try {
    const script = 'under-load.js';
    const { application } = await pm2.start({
      name: 'loaded',
      mode: 'cluster',
      instances: INSTANCES,
      project,
      script,
      env,
    });
    const load = new KeepAliveLoad(application.ports[0], '/add');
    for (let round = 0; round < RELOADS; round++) {
      const before = new Set((await application.fromEach('/whoami')).map(({ pid }) => pid));
      await pm2.run('reload', 'loaded');
      await until(() => [...before].every(pid => !isAlive(pid)), { what: 'the old processes to end', timeout: 20_000 });
    }
    return await load.stop();
  } finally {
    await pm2.kill();
  }
}
