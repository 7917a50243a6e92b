// What a process of the chaos test writes down, so that it is still there when the process is killed: a record that was
// handed to the kernel outlives its writer. One JSON object a line; `is` says what it is:
//
//   begin      member, pid            the process is there
//   made       id, kind, idempotent, limit, at      limit: ms after which the caller itself ends it
//   settled    id, how, code, right, by, epoch, here, took, late, at
//              how: resolved, thrown (what the method itself throws), not-sent, unknown, executed, or unsaid
//   ran        id, epoch, here, at    a call was executed here; `here` when it was also made here, without an engine
//   primary    epoch, at              the event of that name
//   worker     epoch, at              the same: this process has joined that tenure
//   taking, taken, gave   epoch       takeOver() begun and settled, giveUp()
//   gather     id, at                 a question to all was asked
//   gathered   id, code, late, at, outcomes: [{ member, status, right, code }]
//   scraped    code, took, at         the metrics of all were asked for
//   asked      id                     the question was answered here
//   published  n, code                publish() number n has settled
//   heard      publisher, n, right
//   full       what                   the agent has said that there is no room on the disk
//   broken     what                   something is wrong that only this process can see
//   end        pending                the process has left its group, with so many calls pending
const fs = require('node:fs');

class Journal {
  #fd;
  #waiting = '';
  #scheduled = false;

  constructor(file) {
    this.#fd = fs.openSync(file, 'a');
  }

  /** On the disk's side of a SIGKILL before it returns: for what others may see the effect of. */
  now(record) {
    this.#waiting += `${JSON.stringify(record)}\n`;
    this.flush();
  }

  /** Written with the rest of this turn: for what nobody else can know. */
  soon(record) {
    this.#waiting += `${JSON.stringify(record)}\n`;
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => {
        this.#scheduled = false;
        this.flush();
      });
    }
  }

  flush() {
    let bytes = Buffer.from(this.#waiting);
    this.#waiting = '';
    while (bytes.length > 0) {
      bytes = bytes.subarray(fs.writeSync(this.#fd, bytes));
    }
  }
}

/** The records of a file. What stands behind the last end of line was being written when the process was killed. */
function readJournal(file) {
  const text = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '';
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line));
}

module.exports = { Journal, readJournal };
