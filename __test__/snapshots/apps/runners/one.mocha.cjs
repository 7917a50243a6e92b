it('takes a snapshot', () => { require('./take.cjs'); });
