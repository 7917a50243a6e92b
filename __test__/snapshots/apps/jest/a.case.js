test('takes a snapshot in the thread of a test pool', () => {
  require('../probe').take('jest-thread');
});
