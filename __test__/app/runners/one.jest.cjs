test('an application', () => require('./case.cjs').run('one'), 60_000);
