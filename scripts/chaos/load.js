/** The constant load that a member of the chaos test makes: calls of all kinds, gathers and publications. */
const { isDeepStrictEqual } = require('node:util');
const { SCRAPE_TIMEOUT } = require('./checks');
const { delay, now } = require('./clock');

const TICK = 10;
/** Beyond it a member holds back: it must come to an end after a time without a primary. */
const MAX_PENDING = 3000;
const GATHER = { timeout: 2000 };
/** What a starved member asks of each; with as many at once it is more than may wait for one, `maxPendingBytes`. */
const FEAST = { size: 4 * 1024 * 1024, timeout: 10_000, ms: 0 };
const FEASTS_AT_ONCE = 4;
const KINDS = { plain: 60, structured: 15, slow: 10, fail: 6, 'nested-call': 5, large: 3, 'nested-gather': 0.3 };
const OUTCOMES = new Set(['not-sent', 'unknown', 'executed']);

class Load {
  pending = 0;
  #calls = 0;
  #gathers = 0;
  #publications = 0;
  #timer;
  #whenQuiet = [];

  constructor({ engine, journal, methods, number, random, stalls }) {
    Object.assign(this, { engine, journal, methods, number, random, stalls });
    methods.load = this;
  }

  start() {
    this.#timer ??= setInterval(() => this.#tick(), TICK);
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Resolves when nothing is pending. */
  quiet() {
    return this.pending === 0 ? Promise.resolve() : new Promise(resolve => this.#whenQuiet.push(resolve));
  }

  #tick() {
    if (this.pending < MAX_PENDING) {
      for (let left = this.random.between(0, 5); left > 0; left--) {
        this.work(this.random.weighted(KINDS));
      }
    }
    if (this.random.chance(0.01)) {
      this.gather();
    }
    if (this.random.chance(0.03)) {
      this.publish();
    }
    if (this.random.chance(0.005)) {
      this.scrape();
    }
  }

  /** Large gathers, one after the other, for `ms`. */
  feast(ms) {
    const end = now() + ms;
    const one = async () => {
      while (now() < end && this.#timer) {
        const said = await this.gather(FEAST);
        // Without a primary that answers it fails at once.
        await delay(said?.code ? 100 : 0);
      }
    };
    for (let i = 0; i < FEASTS_AT_ONCE; i++) {
      one();
    }
  }

  /** Makes one call of a kind, and never rejects. */
  work(kind) {
    const { random } = this;
    const ms = kind === 'slow' || random.chance(0.05) ? random.between(1, 300) : 0;
    const name = KINDS[kind] && (kind === 'fail' || kind.startsWith('nested-')) ? kind : 'work';
    const options = {};
    if (random.chance(0.2)) {
      options.idempotent = true;
    }
    if (random.chance(0.15)) {
      options.timeout = random.between(20, 1500);
    }
    // An engine without gather does not know signals either.
    if (this.engine.gather && random.chance(0.06)) {
      options.abortAfter = random.between(1, 600);
    }
    return this.#call(kind, name, this.#value(kind), ms, options);
  }

  async #call(kind, name, value, ms, { abortAfter, ...options }) {
    const { engine, journal, methods, stalls } = this;
    const id = `${this.number}.${++this.#calls}`;
    const here = engine.role === 'primary';
    const limit = Math.min(options.timeout ?? Infinity, abortAfter ?? Infinity);
    const [began, lost] = [now(), stalls.lost];
    const bound = here || limit === Infinity ? undefined : limit;
    journal.now({ is: 'made', id, kind, idempotent: options.idempotent === true, limit: bound, at: began });
    this.#begin();
    let abort;
    if (abortAfter !== undefined) {
      const controller = new AbortController();
      abort = setTimeout(() => controller.abort(), abortAfter);
      options.signal = controller.signal;
    }
    let said;
    try {
      const args = [id, value, ms];
      const result = await (here ? methods.run(name, args, engine.epoch, true) : engine.call(name, args, options));
      const right = name !== 'fail' && result?.id === id && isDeepStrictEqual(result.value, value);
      said = { how: 'resolved', right, by: result?.by, epoch: result?.epoch };
    } catch (error) {
      said = describe(error, name === 'fail' ? id : undefined);
    }
    clearTimeout(abort);
    const at = now();
    // Without the time for which this process itself was silent.
    const took = at - began - (stalls.lost - lost);
    const late = here || limit === Infinity ? undefined : took - limit;
    journal.soon({ is: 'settled', id, ...said, here, took, late, at });
    this.#end();
  }

  /** Asks every member, and never rejects. */
  async gather({ size, timeout, ms } = this.#gatherOptions()) {
    const { engine, journal, methods, stalls } = this;
    if (!engine.gather) {
      return;
    }
    const id = `${this.number}.g${++this.#gathers}`;
    const [began, lost] = [now(), stalls.lost];
    journal.now({ is: 'gather', id, at: began });
    this.#begin();
    let said;
    try {
      const args = [id, size, ms];
      const own = () => methods.run('question', args, engine.epoch, true);
      const outcomes = await engine.gather('question', args, { timeout, own });
      said = { outcomes: outcomes.map(outcome => describeOutcome(outcome, id)) };
    } catch (error) {
      said = { code: error.code ?? String(error), outcomes: [] };
    }
    const late = now() - began - (stalls.lost - lost) - timeout;
    journal.soon({ is: 'gathered', id, ...said, late, at: now() });
    this.#end();
    return said;
  }

  #gatherOptions() {
    return { ...GATHER, ms: this.random.chance(0.3) ? this.random.between(1, 100) : 0 };
  }

  /** Asks for the metrics of all, and never rejects. */
  async scrape() {
    const { engine, journal, stalls } = this;
    if (!engine.scrape) {
      return;
    }
    const [began, lost] = [now(), stalls.lost];
    this.#begin();
    let code;
    try {
      await engine.scrape({ format: 'text', memberLabel: false, timeout: SCRAPE_TIMEOUT });
    } catch (error) {
      code = error.code ?? String(error);
    }
    const at = now();
    journal.soon({ is: 'scraped', code, took: at - began - (stalls.lost - lost), at });
    this.#end();
  }

  /** Publishes, and never rejects. */
  async publish() {
    const { engine, journal, number } = this;
    if (!engine.publish) {
      return;
    }
    const n = ++this.#publications;
    this.#begin();
    let code;
    try {
      await engine.publish('news', { publisher: number, n, pid: process.pid });
    } catch (error) {
      code = error.code ?? String(error);
    }
    journal.soon({ is: 'published', n, code });
    this.#end();
  }

  #value(kind) {
    const { random } = this;
    switch (kind) {
      case 'structured':
        return {
          at: new Date(random.between(0, 2 ** 31)),
          counts: new Map([['a', random.between(0, 99)]]),
          names: new Set(['x', undefined, null]),
          big: BigInt(random.between(0, 2 ** 31)) ** 3n,
          numbers: Float64Array.from([random.next(), Number.NaN, -0]),
          nothing: undefined,
          pattern: /c(h)aos/gi,
        };
      case 'large':
        return random.chance(0.5) ? 'é'.repeat(50_000) : Buffer.alloc(100_000, random.between(0, 255));
      default:
        return { n: random.between(0, 1e6), text: 'chaos "é"', list: [1, null, true] };
    }
  }

  #begin() {
    this.pending++;
  }

  #end() {
    if (--this.pending === 0) {
      for (const resolve of this.#whenQuiet.splice(0)) {
        resolve();
      }
    }
  }
}

/** `failing`: the id of a call whose method throws. */
function describe(error, failing) {
  if (failing !== undefined && error?.code === 'E_CHAOS') {
    const right = error instanceof TypeError && error.message === `was told to fail: ${failing}`;
    return { how: 'thrown', right };
  }
  if (OUTCOMES.has(error?.outcome)) {
    return { how: error.outcome, code: error.code };
  }
  return { how: 'unsaid', code: error?.code ?? String(error) };
}

function describeOutcome({ member, status, value, reason }, id) {
  return status === 'fulfilled'
    ? { member: member.id, status, right: value?.id === id && value?.pid === member.pid }
    : { member: member.id, status, code: reason?.code ?? String(reason) };
}

module.exports = { Load, GATHER };
