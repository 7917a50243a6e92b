require('node:test').test('an application', () => require('./case.cjs').run('one'));
