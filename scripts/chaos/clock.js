/** Of the monotonic clock that all processes of a host share; ms. */
const now = () => Number(process.hrtime.bigint()) / 1e6;

const TICK = 20;

/** How long this process's event loop has been silent: frozen, blocked, or without a core. */
class Stalls {
  #lost = 0;
  #last = now();
  #timer;

  constructor() {
    this.#timer = setInterval(() => {
      this.#lost += this.#gap();
      this.#last = now();
    }, TICK);
  }

  /** ms since the beginning, all in all. The difference of two of them is what was lost in between. */
  get lost() {
    return this.#lost + this.#gap();
  }

  stop() {
    clearInterval(this.#timer);
  }

  #gap() {
    return Math.max(0, now() - this.#last - 2 * TICK);
  }
}

function delay(ms) {
  return new Promise(resolve => setTimeout(resolve, ms));
}

/** Ends a wait for something that may never come: `late` is what it gives then. */
async function atMost(ms, promise, late) {
  let timer;
  const bound = new Promise(resolve => {
    timer = setTimeout(resolve, ms, late);
  });
  try {
    return await Promise.race([promise, bound]);
  } finally {
    clearTimeout(timer);
  }
}

module.exports = { now, delay, atMost, Stalls };
