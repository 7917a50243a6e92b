const { test } = require('uvu');

test('an application', () => require('./case.cjs').run('two'));
test.run();
