// What is sent, and what is checked: the same for every peer.
const assert = require('node:assert');

/** Answered with the pid of whoever executes the call: the proof that it has left the caller's process. */
const WHO = '#pid';

/** What a peer's primary does with what it is sent. echo.ts has the same for a Midway application. */
const answer = value => (value === WHO ? process.pid : value);

const million = 1_000_000;
const values = {
  small: { value: { id: 7, name: 'a small value', tags: ['a', 'b'] }, isSame: echo => echo.id === 7 },
  // Written to a buffer first: a repeated string would be a tree of one piece.
  string: {
    value: Buffer.alloc(million, 'The quick brown fox. ').toString(),
    isSame: echo => echo.length === million,
  },
  buffer: { value: Buffer.alloc(million, 7), isSame: echo => echo.length === million },
};

/** Compares everything once; in a loop, `isSame` is enough. */
async function checkEcho(call, { value }) {
  assert.deepStrictEqual(await call(value), value);
}

module.exports = { WHO, answer, values, checkEcho };
