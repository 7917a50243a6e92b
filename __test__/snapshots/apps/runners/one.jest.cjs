test('takes a snapshot', () => { require('./take.cjs'); });
