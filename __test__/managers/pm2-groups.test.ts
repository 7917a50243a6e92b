/** Which of pm2's processes belong together, and what is said where that can't be told. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { WhoAmI } from '../support/application';
import type { Deployed } from '../support/deployments';
import { removeTemporaryFolders, temporaryFolder } from '../support/folders';
import { Pm2 } from '../support/pm2';
import { onePrimary } from '../support/promises';
import { until } from '../support/until';

/** The folders of all, the homes of daemons that live among them, go with the last one. */
async function killAll(daemons: Pm2[]): Promise<void> {
  for (const daemon of daemons) {
    await daemon.end();
  }
  removeTemporaryFolders();
}

describe('two daemons with one relative PM2_HOME in two folders', () => {
  let daemons: Pm2[];
  beforeAll(() => {
    daemons = [new Pm2({ relative: true }), new Pm2({ relative: true })];
  });
  afterAll(() => killAll(daemons));

  it.each(['cluster', 'fork'] as const)('have two groups of one name, in %s mode', async mode => {
    const [one, two] = [
      await daemons[0].start({ name: `api-${mode}`, mode, instances: 2 }),
      await daemons[1].start({ name: `api-${mode}`, mode, instances: 2 }),
    ];
    const primaries = [await onePrimary(one.application, 2), await onePrimary(two.application, 2)];
    expect(primaries[0].group).toBe(primaries[1].group);
    expect(primaries[0].pid).not.toBe(primaries[1].pid);
    await one.application.firstAnswer('/set?value=one');
    await two.application.firstAnswer('/set?value=two');
    expect((await one.application.fromEach('/get')).map(answer => answer.value)).toEqual(['one', 'one']);
    expect((await two.application.fromEach('/get')).map(answer => answer.value)).toEqual(['two', 'two']);
  });
});

describe('an application that pm2 starts through a launcher', () => {
  let pm2: Pm2;
  beforeAll(() => {
    pm2 = new Pm2();
  });
  afterAll(() => killAll([pm2]));

  async function start(name: string, env: Record<string, string> = {}) {
    const logs = temporaryFolder('logs');
    // As tsx and its like do: the application is its child, in a process of its own.
    const script = path.join(temporaryFolder('launcher'), 'launcher.js');
    fs.writeFileSync(
      script,
      `require('node:child_process').spawn(process.execPath, process.argv.slice(2), { stdio: 'inherit' });`,
    );
    const deployed = await pm2.start({
      name,
      mode: 'fork',
      instances: 2,
      script,
      args: 'bootstrap.js',
      env: { MIDWAY_LOGGER_WRITEABLE_DIR: logs, ...env },
    });
    return { deployed, log: path.join(logs, 'logs', 'project-v4', 'midway-process-agent.log') };
  }

  function warnings(log: string): string[] {
    const lines = fs.existsSync(log) ? fs.readFileSync(log, 'utf8').split('\n') : [];
    return lines.filter(line => line.includes('through another program'));
  }

  async function members({ application }: Deployed): Promise<WhoAmI[]> {
    return application.fromEach<WhoAmI>('/whoami');
  }

  it('warns in each instance, and names the variable', async () => {
    const { deployed, log } = await start('alone');
    expect((await members(deployed)).map(each => each.deployment)).toEqual(['standalone', 'standalone']);
    await until(() => warnings(log).length >= 2, { what: 'a warning of each instance' });
    const warning = expect.stringMatching(/pm2 started "alone".*launcher\.js.*MIDWAY_PROCESS_AGENT_GROUP/);
    expect(warnings(log)).toEqual([warning, warning]);
    await pm2.run('delete', 'alone');
  });

  it('is one group, and says nothing, when it does what the warning says', async () => {
    const group = `launched-${process.pid}-${Date.now()}`;
    const { deployed, log } = await start('named', { MIDWAY_PROCESS_AGENT_GROUP: group });
    await onePrimary(deployed.application, 2);
    expect((await members(deployed)).map(each => each.group)).toEqual([group, group]);
    expect(warnings(log)).toEqual([]);
    await pm2.run('delete', 'named');
  });
});
