/** What the members of the chaos test can call in each other. Whatever is executed is in the journal first. */
const { delay, now } = require('./clock');

class Methods {
  /** For nested calls and gathers. */
  load;

  constructor(journal, number) {
    this.journal = journal;
    this.number = number;
  }

  /** `here`: it was made in this very process, and no engine has carried it. */
  run(name, args, epoch, here) {
    const [id, value, ms] = args;
    if (name === 'question') {
      this.journal.now({ is: 'asked', id });
      return this.#question(id, value, ms);
    }
    this.journal.now({ is: 'ran', id, epoch, here, at: now() });
    const answer = { id, value, by: this.number, epoch };
    switch (name) {
      case 'work':
        return ms > 0 ? delay(ms).then(() => answer) : answer;
      case 'fail':
        return this.#fail(id, ms);
      case 'nested-call':
        return this.load.work('nested').then(() => answer);
      case 'nested-gather':
        return this.load.gather().then(() => answer);
      default:
        throw new Error(`no method ${name}`);
    }
  }

  /** `size`: bytes that are wanted beside the answer. */
  async #question(id, size, ms) {
    if (ms > 0) {
      await delay(ms);
    }
    return { id, pid: process.pid, bytes: size && Buffer.alloc(size) };
  }

  async #fail(id, ms) {
    if (ms > 0) {
      await delay(ms);
    }
    throw Object.assign(new TypeError(`was told to fail: ${id}`), { code: 'E_CHAOS' });
  }
}

module.exports = { Methods };
