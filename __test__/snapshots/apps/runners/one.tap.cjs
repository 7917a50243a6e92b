require('tap').test('takes a snapshot', async t => {
  require('./take.cjs');
  t.pass();
});
