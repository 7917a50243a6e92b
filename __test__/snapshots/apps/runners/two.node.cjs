require('node:test').test('takes a snapshot', () => {});
