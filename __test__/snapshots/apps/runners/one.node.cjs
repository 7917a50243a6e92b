require('node:test').test('takes a snapshot', () => { require('./take.cjs'); });
