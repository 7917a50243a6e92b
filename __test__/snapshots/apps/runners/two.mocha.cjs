it('takes a snapshot', () => {});
