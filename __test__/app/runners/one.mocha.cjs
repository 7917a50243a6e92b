it('an application', function () {
  this.timeout(60_000);
  return require('./case.cjs').run('one');
});
