require('tap').test('an application', () => require('./case.cjs').run('one'));
