/** The agent's log where the application's own logger can't be made. */
import * as path from 'node:path';
import { plainNode } from '../support/deployments';
import { killAll } from '../support/processes';
import { projectFolder } from '../support/project';

afterEach(killAll);

describe.each(['v3', 'v4'] as const)('a home folder that is not writable, Midway %s', project => {
  it('has the application listen and answer, and the agent say on the console what it has to say', async () => {
    // A file where a folder should be: not even root can write in it.
    const HOME = path.join(projectFolder(project), 'package.json');
    const noFiles = { transports: { file: false, error: false, json: false } };
    const { application, processes } = await plainNode({
      project,
      group: `no-home-${project}-${process.pid}`,
      workers: 2,
      env: { HOME, LOGGER_CONFIG: JSON.stringify({ clients: { appLogger: noFiles, coreLogger: noFiles } }) },
    });
    const primary = await application.primary();
    await application.get('/set?value=answered');
    for (const { value, executedBy } of await application.fromEach('/get')) {
      expect({ value, executedBy }).toEqual({ value: 'answered', executedBy: primary.pid });
    }
    const said = processes.find(({ pid }) => pid === primary.pid)?.output;
    expect(said).toContain(`[process-agent] pid ${primary.pid} is primary of `);
    expect(said?.match(/the application's logger fails/g)).toHaveLength(1);
  });
});
