test('an application', () => require('./case.cjs').run('two'), 60_000);
