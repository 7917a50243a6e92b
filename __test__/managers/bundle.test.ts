import { mkdtempSync, rmSync } from 'node:fs';
import * as path from 'node:path';
import { bundle } from '../support/bundle';
import { BundleMembers } from '../support/bundle-members';
import { projectFolder } from '../support/project';

const sources = path.join(__dirname, '..', 'app', 'bundle', 'src');

describe.each(['v3', 'v4'] as const)('an application in one file, Midway %s', project => {
  // Below the project, because packages stay outside the file.
  const folder = mkdtempSync(path.join(projectFolder(project), 'bundle-'));
  const members = new BundleMembers(folder);
  const start = (name: string) => members.start(name, bundle(path.join(sources, `${name}.ts`)));

  afterEach(() => members.kill());
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('calls each class, also one of the same name and a subclass, in the primary', async () => {
    const [primary, role] = await start('current');
    const [worker, other] = await start('current');
    expect([role, other]).toEqual([{ value: 'primary' }, { value: 'worker' }]);
    for (const [cls, method, said] of [
      ['User', 'save', 'user'],
      ['Customer', 'save', 'customer'],
      ['Job', 'run', 'job'],
      ['NightJob', 'run', 'night job'],
    ]) {
      expect(await worker.call(cls, method)).toEqual({ value: `${primary.pid} ${said}` });
    }
  });

  it('of a newer version calls what the primary has, and is told what it does not have', async () => {
    const [primary] = await start('current');
    const [worker, role] = await start('next');
    expect(role).toEqual({ value: 'worker' });
    expect(await worker.call('Job', 'run')).toEqual({ value: `${primary.pid} job` });
    const { error } = await worker.call('Job', 'cancel');
    expect(error).toMatchObject({ code: 'ERR_AGENT_UNKNOWN_METHOD', outcome: 'not-sent' });
    expect(error?.message).toContain(`Pid ${primary.pid} knows no method 'Job.cancel'`);
  });

  it('does not start when two of its classes can not be told apart', async () => {
    const [, { error }] = await start('ambiguous');
    expect(error?.message).toContain('ERR_AGENT_AMBIGUOUS');
    expect(error?.message).toContain("@Provide('id')");
  });
});
