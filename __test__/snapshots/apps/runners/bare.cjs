require('./take.cjs');
