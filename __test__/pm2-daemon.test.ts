/** Which daemon pm2's variables speak of: real folders, and this test's own parent in the place of the daemon. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { readPm2Daemon } from '../ts/role/pm2-daemon';

const PARENT = 4242;
let base: string;

beforeEach(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'process-agent-pm2-')));
});
afterEach(() => rmSync(base, { recursive: true }));

function home(name: string, pid?: number): string {
  const folder = join(base, name, '.pm2');
  mkdirSync(folder, { recursive: true });
  if (pid !== undefined) {
    writeFileSync(join(folder, 'pm2.pid'), `${pid}\n`);
  }
  return folder;
}

test('a link to the folder is the folder', () => {
  const folder = home('a', PARENT);
  symlinkSync(folder, join(base, 'link'));
  for (const PM2_HOME of [folder, `${folder}/`, join(base, 'link'), join(base, 'a', '..', 'a', '.pm2')]) {
    expect(readPm2Daemon({ PM2_HOME }, PARENT)).toEqual({ pid: PARENT, home: folder });
  }
});

test('a relative folder is meant from where the daemon is that is the parent', () => {
  const [a, b] = [home('a', PARENT), home('b', PARENT + 1)];
  const env = { PM2_HOME: './.pm2', pm_cwd: join(base, 'a'), PWD: join(base, 'b') };
  expect(readPm2Daemon(env, PARENT)).toEqual({ pid: PARENT, home: a });
  expect(readPm2Daemon(env, PARENT + 1)).toEqual({ pid: PARENT + 1, home: b });
});

test('it may be meant from the folder of this process', () => {
  const folder = home('a', PARENT);
  expect(readPm2Daemon({ PM2_HOME: relative(process.cwd(), folder) }, PARENT)).toEqual({ pid: PARENT, home: folder });
});

test('a daemon that is not the parent is told, and none where no file can be read', () => {
  const other = home('a', 7);
  const none = home('b');
  expect(readPm2Daemon({ PM2_HOME: other }, PARENT)).toEqual({ pid: 7, home: other });
  expect(readPm2Daemon({ PM2_HOME: none }, PARENT)).toEqual({ pid: undefined, home: none });
  expect(readPm2Daemon({ PM2_HOME: '/no/such/folder/' }, PARENT)).toEqual({ pid: undefined, home: '/no/such/folder' });
});
