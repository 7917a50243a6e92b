import { createRequire } from 'node:module';
import test from 'ava';

test('an application', async t => {
  t.timeout(60_000);
  await createRequire(import.meta.url)('./case.cjs').run('two');
  t.pass();
});
