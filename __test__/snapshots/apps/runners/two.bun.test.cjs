require('bun:test').test('takes a snapshot', () => {});
