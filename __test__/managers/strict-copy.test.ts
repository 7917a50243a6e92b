import { existsSync, readFileSync } from 'node:fs';
import * as path from 'node:path';
import type { WhoAmI } from '../support/application';
import { removeTemporaryFolders, temporaryFolder } from '../support/folders';
import { freePorts, get } from '../support/http';
import { killAll, start } from '../support/processes';
import { projectFolder } from '../support/project';
import { until } from '../support/until';

interface Called {
  got: number[];
  thrown: { code?: string; outcome?: string; message?: string; nothing?: boolean };
}

const IN_GROUP = { MIDWAY_PROCESS_AGENT_GROUP: `strict-${process.pid}-${Date.now()}` };

afterEach(killAll);
afterAll(removeTemporaryFolders);

/** One process, alone or the primary of its group, with a log of its own; calls a method with a callback, twice. */
async function callTwice(project: 'v3' | 'v4', env: Record<string, string>, config: object = {}) {
  const logs = temporaryFolder('logs');
  const [port] = await freePorts(1);
  const running = start(['bootstrap.js'], {
    cwd: projectFolder(project),
    env: {
      MIDWAY_LOGGER_WRITEABLE_DIR: logs,
      ...env,
      PORT: String(port),
      PROCESS_AGENT_CONFIG: JSON.stringify(config),
    },
  });
  const who = await until(() => get<WhoAmI>(port, '/whoami'), { what: 'the application to answer' });
  expect(who).toMatchObject({
    isPrimary: true,
    deployment: 'MIDWAY_PROCESS_AGENT_GROUP' in env ? 'configured' : 'standalone',
  });
  const called = [await get<Called>(port, '/callback'), await get<Called>(port, '/callback')];
  // Its log is written when it has stopped.
  running.child.kill('SIGTERM');
  await running.exited;
  const file = path.join(logs, 'logs', `project-${project}`, 'midway-process-agent.log');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : [];
  // Where there is a group, there is something to say in any case: this is the right file.
  expect(lines.some(line => line.includes('is primary of'))).toBe('MIDWAY_PROCESS_AGENT_GROUP' in env);
  return { called, warnings: lines.filter(line => line.includes('strictCopy')), output: running.output };
}

const WORKED = { got: [0, 1, 2], thrown: { nothing: true } };

describe.each([
  ['alone', {}],
  ['the primary of a group', IN_GROUP],
])('a method that is given a callback, in a process that is %s', (_, group) => {
  it.each([
    ['v3', { MIDWAY_SERVER_ENV: 'local' }],
    ['v4', { MIDWAY_SERVER_ENV: 'local' }],
    ['v4', { NODE_ENV: 'test' }],
  ] as const)('works, and is warned about once, where developers run it: Midway %s, %j', async (project, env) => {
    const { called, warnings } = await callTwice(project, { ...env, ...group });
    expect(called).toMatchObject([WORKED, WORKED]);
    expect(warnings).toEqual([
      expect.stringMatching(/WARN .*ListenerService\.each works in this process.*args\[1\] is a function/),
    ]);
  });

  it("fails there with strictCopy: 'error', and does not run", async () => {
    const { called, warnings } = await callTwice('v4', { NODE_ENV: 'local', ...group }, { strictCopy: 'error' });
    const failed = { got: [], thrown: { code: 'ERR_AGENT_NOT_SERIALIZABLE', outcome: 'not-sent' } };
    expect(called).toMatchObject([failed, failed]);
    expect(warnings).toEqual([]);
  });

  it('works in production, and nothing is said', async () => {
    const { called, warnings, output } = await callTwice('v4', { NODE_ENV: 'production', ...group });
    expect(called).toMatchObject([WORKED, WORKED]);
    expect(warnings).toEqual([]);
    expect(output).not.toContain('strictCopy');
  });
});
