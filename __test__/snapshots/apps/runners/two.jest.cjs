test('takes a snapshot', () => {});
