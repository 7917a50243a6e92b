const { test } = require('uvu');

test('takes a snapshot', () => {
  require('./take.cjs');
});
test.run();
