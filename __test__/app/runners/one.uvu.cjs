const { test } = require('uvu');

test('an application', () => require('./case.cjs').run('one'));
test.run();
