import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { minifiedBundle } from '../support/bundle';
import { BundleMembers } from '../support/bundle-members';
import { projectFolder } from '../support/project';
import { until } from '../support/until';

const app = path.join(__dirname, '..', 'app');
const release = (name: string, folder = app) => minifiedBundle(path.join(folder, 'minified', 'src', `${name}.ts`));

describe.each(['v3', 'v4'] as const)('an application that esbuild has minified, Midway %s,', project => {
  const folder = mkdtempSync(path.join(projectFolder(project), 'minified-'));
  const members = new BundleMembers(folder);
  const start = (name: string, program = release(name)) => members.start(name, program);

  afterEach(() => members.kill());
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("and its next release have each other's names for two classes: what the tests below are about", () => {
    const named = (program: string, cls: string) => new RegExp(`${cls}:(\\w+)`).exec(program)?.[1];
    const [first, second] = [release('first'), release('second')];
    expect(named(first, 'Order')).toBe(named(second, 'User'));
    expect(named(first, 'User')).toBe(named(second, 'Order'));
    expect(named(first, 'Order')).toMatch(/^\w$/);
  });

  it('never runs a method of another class in another release, but those with names that stay', async () => {
    const [primary, role] = await start('first');
    const [worker, other] = await start('second');
    expect([role, other]).toEqual([{ value: 'primary' }, { value: 'worker' }]);
    for (const cls of ['Order', 'User']) {
      const { value, error } = await worker.call(cls, 'add');
      expect([value, error?.code, error?.outcome]).toEqual([undefined, 'ERR_AGENT_UNKNOWN_METHOD', 'not-sent']);
      expect(error?.message).toMatch(
        /^Pid \d+ knows no method '\w\.add' of the caller's build: a minifier made .*@RunInPrimary\(\{ name \}\) .*@Provide\('id'\)/,
      );
    }
    expect(await worker.call('Order', 'count')).toEqual({ value: `${primary.pid} orders` });
    expect(await worker.call('User', 'count')).toEqual({ value: `${primary.pid} users` });
    expect(await worker.call('Stock', 'add')).toEqual({ value: `${primary.pid} stock` });
  });

  it("never runs another class's method for a @RunInAll() of another release", async () => {
    const [primary] = await start('first');
    const [worker] = await start('second');
    const { error } = await worker.call('Order', 'clear');
    expect(error?.code).toBe('ERR_AGENT_PARTIAL');
    expect(error?.message).toContain(`pid ${primary.pid}: Pid ${primary.pid} knows no method`);
    expect([await primary.call('Order', 'runs'), await primary.call('User', 'runs')]).toEqual([
      { value: '' },
      { value: '' },
    ]);
    expect(await worker.call('Order', 'runs')).toEqual({ value: 'order' });
  });

  it('that is built twice from the same sources, in two folders, is one', async () => {
    const elsewhere = mkdtempSync(path.join(tmpdir(), 'sources-'));
    try {
      cpSync(app, elsewhere, { recursive: true });
      const [primary] = await start('first');
      const [worker] = await start('again', release('first', elsewhere));
      expect(await worker.call('Order', 'add')).toEqual({ value: `${primary.pid} order` });
      expect(await worker.call('User', 'add')).toEqual({ value: `${primary.pid} user` });
      expect(await worker.call('Order', 'clear')).toEqual({ value: undefined });
      expect(await primary.call('Order', 'runs')).toEqual({ value: 'order' });
    } finally {
      rmSync(elsewhere, { recursive: true, force: true });
    }
  });

  it('warns of such names at its start, once', async () => {
    const [member] = await start('first');
    const warning = () => /\[process-agent\] (.*): a minifier made these class names/.exec(member.printed);
    await until(() => warning() !== null, { what: `the warning in ${member.printed}` });
    expect(
      warning()?.[1]
        .split(', ')
        .map(each => each.replace(/^\w\./, ''))
        .sort(),
    ).toEqual(['add', 'add', 'clear', 'clear']);
    expect(member.printed.split('a minifier made').length).toBe(2);
  });
});
