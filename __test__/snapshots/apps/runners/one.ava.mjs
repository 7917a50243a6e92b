import { createRequire } from 'node:module';
import test from 'ava';

test('takes a snapshot', t => {
  createRequire(import.meta.url)('./take.cjs');
  t.pass();
});
