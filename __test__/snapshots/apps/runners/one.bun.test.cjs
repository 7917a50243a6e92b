require('bun:test').test('takes a snapshot', () => { require('./take.cjs'); });
