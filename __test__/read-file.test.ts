import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transformSync } from '@swc/core';
import { readRegularFile } from '../ts/role/read-file';

const folder = mkdtempSync(join(tmpdir(), 'agent-read-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const onUnix = process.platform === 'win32' ? test.skip : test;

onUnix("a fifo in a file's place holds nothing up", () => {
  const path = join(folder, 'pm2.pid');
  execFileSync('mkfifo', [path]);
  // In a process of its own, because one that waits for a fifo does not hear of a timeout.
  const source = readFileSync(join(__dirname, '../ts/role/read-file.ts'), 'utf8');
  const { code } = transformSync(source, { jsc: { parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } });
  const script = `${code}; console.log(JSON.stringify(exports.readRegularFile(${JSON.stringify(path)})))`;
  expect(execFileSync(process.execPath, ['-e', script], { timeout: 20_000, encoding: 'utf8' })).toBe('""\n');
});

test('a regular file is read, and one that is too large or missing is empty', () => {
  const path = join(folder, 'file');
  writeFileSync(path, '4711\n');
  expect(readRegularFile(path)).toBe('4711\n');
  truncateSync(path, 2 * 1024 * 1024);
  expect(readRegularFile(path)).toBe('');
  expect(readRegularFile(join(folder, 'missing'))).toBe('');
});

(process.platform === 'linux' ? test : test.skip)('a file of /proc, which tells no size, is read', () => {
  expect(readRegularFile('/proc/self/stat')).toMatch(/^\d+ \(/);
});
