import { Readable } from 'node:stream';
import { MessageChannel } from 'node:worker_threads';
import { decode, encode } from '../ts/codec';
import { resolveConfig } from '../ts/config';
import { Answers } from '../ts/engine/answers';
import type { Tally } from '../ts/engine/call';
import { Chunks, type Packed } from '../ts/engine/chunks';
import type { EngineHost, Invocation } from '../ts/engine/engine';
import { IncomingCalls, type IncomingLane } from '../ts/engine/incoming';
import { EngineMetrics } from '../ts/engine/metrics';
import { Others } from '../ts/engine/others';
import { OutgoingCalls, type OutgoingLimits } from '../ts/engine/outgoing';
import { PackedCalls, packCall, readPackedReplies, setId } from '../ts/engine/packed-frames';
import { Requests, type SendParcel } from '../ts/engine/requests';
import { stateToLeave } from '../ts/engine/takeover';
import { TrackedCalls } from '../ts/engine/tracked';
import { CallBatch, callText, nameText, type ReplySink, readReplies, Status, Verb, verbText } from '../ts/engine/wire';
import { frozen as frozenPrimary } from '../ts/engine/words';
import { decodeError, encodeError, type PlainError, ProcessAgentError } from '../ts/errors';
import type { Member } from '../ts/interface';
import { OwnMetrics } from '../ts/metrics/own';
import { WaitedCall } from '../ts/own-call';
import { Transfers } from '../ts/transfer';

const member = { id: 2, pid: 4711, state: 'ready' } as Member;
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const noTraffic = { bytesIn: 0, bytesOut: 0 };
const turn = () => new Promise(setImmediate);

function hostOf(invoke: (name: string, args: unknown[], invocation?: Invocation) => unknown): EngineHost {
  return {
    invoke,
    wantsInvocations: false,
    deliver: () => {},
    takeOver: () => {},
    giveUp: () => undefined,
    logger: silent,
  };
}

function outgoingWith(limits: OutgoingLimits, tally: Tally = new OwnMetrics(() => 0, noTraffic)): OutgoingCalls {
  return new OutgoingCalls(
    limits,
    () => 'none',
    () => {},
    tally,
  );
}

/** A lane to a primary of an older release: all is text. */
const lane = {
  id: 1,
  maxPayload: 1000,
  packs: false,
  unwritten: () => 0,
  isTelling: () => true,
  send: () => 1,
  sendPacked: () => 1,
};

interface Reply {
  id: number;
  status: number;
  value: { name?: string; message?: string; hidden?: object; fields?: { outcome?: string } };
}

/** A lane to a member, and the replies that were sent on it. */
class FakeLane implements IncomingLane {
  /** Whether it is read, as it was told. */
  readonly held: boolean[] = [];

  readonly id = 1;
  readonly member = member;
  readonly epoch = 5;
  readonly maxPayload = 1_000_000;
  readonly replies: Reply[] = [];
  full = false;

  readonly #sink: ReplySink = {
    take: (id, status, value) => this.replies.push({ id, status, value: value as Reply['value'] }),
    refuse: () => {},
  };

  constructor(readonly packs = true) {}

  send = (payload: string | Buffer, bounded: boolean): number => {
    if (this.full && bounded) {
      return -1;
    }
    readReplies(payload, this.#sink);
    return 1;
  };

  sendPacked = (bytes: Buffer, from: number, to: number, bounded: boolean): number => {
    if (this.full && bounded) {
      return -1;
    }
    readPackedReplies(bytes.subarray(from, to), to - from, this.#sink);
    return 1;
  };

  hold(held: boolean): void {
    this.held.push(held);
  }
}

describe.each([true, false])('calls that come in, from a member that reads packed values: %j', packs => {
  const limits = { maxPayload: 1_000_000, maxPendingBytes: 1_000_000 };
  let lane: FakeLane;
  beforeEach(() => {
    lane = new FakeLane(packs);
  });
  const call = (id: number, name: string) => new CallBatch(`[${callText(id, nameText(name, undefined), '[]')}]`);

  test('are not run before this process has taken over, and not after its tenure', async () => {
    const ran: string[] = [];
    const incoming = new IncomingCalls(
      hostOf(name => ran.push(name)),
      limits,
    );
    incoming.receive(lane, call(0, 'before'));
    incoming.accept();
    incoming.receive(lane, call(1, 'within'));
    incoming.suspend();
    incoming.receive(lane, call(2, 'after'));
    await turn();
    expect(ran).toEqual(['within']);
    expect(lane.replies.map(({ id, status }) => [id, status])).toEqual([
      [0, Status.NotAccepted],
      [1, Status.Value],
      [2, Status.NotAccepted],
    ]);
  });

  test('a stream that begins when its caller is gone ends at once', async () => {
    let give: (stream: unknown) => void = () => {};
    const incoming = new IncomingCalls(
      hostOf(() => new Promise(resolve => (give = resolve))),
      limits,
    );
    incoming.accept();
    incoming.receive(lane, call(0, 'slow'));
    incoming.forget(lane);
    const returned = jest.fn(async () => ({ done: true, value: undefined }));
    give({ [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}), return: returned }) });
    const began = Date.now();
    await incoming.refuse(5000);
    expect(Date.now() - began).toBeLessThan(1000);
    expect(returned).toHaveBeenCalledTimes(1);
  });

  test('a member that does not read gets one last reply for each call, and the truth in it', async () => {
    const large = 'x'.repeat(10_000);
    const hold: ((value: unknown) => void)[] = [];
    const incoming = new IncomingCalls(
      hostOf(name => {
        if (name === 'stream') {
          return (async function* () {
            yield large;
            yield 'small';
            return 'end';
          })();
        }
        return name === 'held' ? new Promise(resolve => hold.push(resolve)) : name === 'large' ? large : 'small';
      }),
      limits,
    );
    incoming.accept();
    lane.full = true;
    for (const [id, name] of ['stream', 'large', 'small'].entries()) {
      incoming.receive(lane, call(id, name));
    }
    await turn();
    incoming.suspend();
    incoming.receive(lane, call(3, 'refused'));
    await turn();
    lane.full = false;
    await turn();
    const last = lane.replies.filter(({ status }) => status !== Status.Stream);
    expect(last.map(({ id, status }) => [id, status]).sort()).toEqual([
      [0, Status.Thrown],
      [1, Status.Thrown],
      [2, Status.Value],
      [3, Status.NotAccepted],
    ]);
  });
});

const now = Object.getOwnPropertyDescriptor(performance, 'now');

afterEach(() => {
  jest.restoreAllMocks();
  Reflect.deleteProperty(performance, 'now');
  if (now) {
    Object.defineProperty(performance, 'now', now);
  }
});

test('what is kept of a call is found by its number, whatever that is, until it is deleted or its lane ends', () => {
  const calls = new TrackedCalls();
  const [lane, other] = [new FakeLane(), new FakeLane()];
  const numbers = [3, 0, 99_999, 100_000, 2 ** 40, -1, -0.5];
  calls.delete(lane, 3);
  const all = numbers.map(() => ({}));
  for (const [i, tracked] of all.entries()) {
    calls.set(lane, numbers[i], tracked);
  }
  expect(all.every((tracked, i) => calls.get(lane, numbers[i]) === tracked)).toBe(true);
  expect(calls.get(lane, 1) ?? calls.get(lane, 2 ** 41) ?? calls.get(other, 3)).toBeUndefined();
  for (const number of [0, 2 ** 40, 5, 2 ** 42]) {
    calls.delete(lane, number);
    expect(calls.get(lane, number)).toBeUndefined();
  }
  expect(calls.forget(lane)).toHaveLength(5);
  expect([calls.get(lane, 3), calls.forget(lane), calls.forget(other)]).toEqual([undefined, [], []]);
});

test('a call that another one has given up is not run when this process becomes primary', async () => {
  const limits = { maxPayload: 1000, maxPending: 10, maxPendingBytes: 1000, readyTimeout: 5000 };
  const outgoing = outgoingWith(limits);
  const controller = new AbortController();
  const first = outgoing.call('first', []);
  const second = outgoing.call('second', [], { signal: controller.signal }).catch(error => error);
  const ran: string[] = [];
  outgoing.runHere(name => {
    ran.push(name);
    controller.abort();
    return name;
  });
  expect(await first).toBe('first');
  expect(await second).toMatchObject({ code: 'ERR_AGENT_ABORTED', outcome: 'not-sent' });
  expect(ran).toEqual(['first']);
});

test('a call that runs here hears when its caller gives it up, and nothing once it has ended', async () => {
  const limits = { maxPayload: 1000, maxPending: 10, maxPendingBytes: 1000, readyTimeout: 5000 };
  const outgoing = outgoingWith(limits);
  const controllers = ['ends', 'fails', 'streams', 'is left'].map(name => ({
    name,
    controller: new AbortController(),
  }));
  const results = controllers.map(({ name, controller }) =>
    outgoing.call(name, [], { signal: controller.signal, carrier: { name } }).catch(error => error),
  );
  const signals: AbortSignal[] = [];
  const tenure = new AbortController();
  outgoing.runHere(
    (name, _, waited) => {
      expect(waited?.carrier).toEqual({ name });
      signals.push(waited?.signal as AbortSignal);
      if (name === 'fails') {
        throw new RangeError('no');
      }
      const stream = (async function* () {
        yield 1;
      })();
      return name === 'streams' ? stream : name === 'ends' ? Promise.resolve('ended') : new Promise(() => {});
    },
    carrier => new WaitedCall(() => ({}) as Member, 7, tenure.signal, carrier),
  );
  const [ended, failed, stream] = await Promise.all(results.slice(0, 3));
  expect([ended, failed]).toEqual(['ended', new RangeError('no')]);
  for (const { controller } of controllers) {
    controller.abort();
  }
  expect(await results[3]).toMatchObject({ code: 'ERR_AGENT_ABORTED', outcome: 'unknown' });
  expect(signals.map(signal => signal.aborted)).toEqual([false, false, false, true]);
  expect(signals[3].reason).toMatchObject({ code: 'ERR_AGENT_ABORTED' });
  // Of all that has not ended the tenure is a bound as well.
  tenure.abort();
  expect(signals.map(signal => signal.aborted)).toEqual([false, false, true, true]);
  expect(await (stream as AsyncGenerator).next()).toEqual({ done: false, value: 1 });
});

test.each([[[1, { a: 'x' }]], [[new Date(5), 'x']], [['x'.repeat(5000)]]])(
  'a call whose arguments are %j gets them back when this process becomes primary',
  async args => {
    const limits = { maxPayload: 100_000, maxPending: 10, maxPendingBytes: 100_000, readyTimeout: 5000 };
    const outgoing = outgoingWith(limits);
    const call = outgoing.call('x', args);
    outgoing.runHere((_, its) => its);
    expect(await call).toEqual(args);
  },
);

test('the size of what is sent counts, not its estimate, where the primary takes less', async () => {
  const limits = { maxPayload: 1_000_000, maxPending: 10, maxPendingBytes: 1_000_000, readyTimeout: 5000 };
  const outgoing = outgoingWith(limits);
  const sent: unknown[] = [];
  outgoing.open({ ...lane, send: payload => sent.push(payload) });
  const fits = outgoing.call('fits', ['x'.repeat(900)]);
  await expect(outgoing.call('not', ['x'.repeat(1100)])).rejects.toMatchObject({ code: 'ERR_AGENT_TOO_LARGE' });
  expect(sent).toHaveLength(1);
  outgoing.receive(1, '[0,1,null]');
  expect(await fits).toBeUndefined();
});

describe('a call that fails', () => {
  const limits = { maxPayload: 1000, maxPending: 4, maxPendingBytes: 100_000, readyTimeout: 5000 };
  const thrown = JSON.stringify(encodeError(new TypeError('theirs')));

  test.each([
    ['', (call: Promise<unknown>) => call],
    ['among others', (call: Promise<unknown>) => Promise.all([call, 1])],
    ['in a chain', (call: Promise<unknown>) => call.then(value => value)],
  ])('shows in its stack who awaits it %s', async (_, wrap) => {
    const outgoing = outgoingWith(limits);
    outgoing.open(lane);
    const innerCaller = async () => await wrap(outgoing.call('x', []));
    const outerCaller = async () => await innerCaller();
    const failed = outerCaller().catch(error => error);
    await turn();
    outgoing.receive(1, `[0,${Status.Thrown},${thrown}]`);
    const error = (await failed) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.stack).toMatch(/called from pid[\s\S]+innerCaller[\s\S]+outerCaller/);
  });

  test('and every other end of one, is counted once', async () => {
    const ends: unknown[] = [];
    let made = 0;
    const outgoing = outgoingWith(limits, {
      begin: () => made++,
      succeeded: began => ends.push([began, 'ok']),
      failed: (began, error) => ends.push([began, (error as ProcessAgentError).code ?? (error as Error).message]),
    });
    const sent: unknown[] = [];
    const open = (id: number) => outgoing.open({ ...lane, id, send: payload => sent.push(payload) });
    open(1);
    const results = [
      outgoing.call('0 is answered', []),
      outgoing.call('1 throws', []),
      outgoing.call('2 takes too long', [], { timeout: 1 }),
      outgoing.call('3 is lost', []),
      outgoing.call('4 is one too many', []),
      outgoing.call('5 is aborted', [], { signal: AbortSignal.abort() }),
      outgoing.call('6 is too large', ['x'.repeat(2000)]),
      outgoing.call('7 is a function', [() => 1]),
    ];
    const settled = Promise.allSettled(results);
    await turn();
    outgoing.receive(1, `[0,${Status.Value},5,1,${Status.Thrown},${thrown}]`);
    // A second reply belongs to no call.
    outgoing.receive(1, `[0,${Status.Value},5,1,${Status.Thrown},${thrown}]`);
    await new Promise(resolve => setTimeout(resolve, 20));
    outgoing.receive(1, `[2,${Status.Value},5]`);
    outgoing.closeLane(1, { written: 9, accepted: null, relieved: false });
    const later = outgoing.call('8 is streamed', []);
    open(2);
    outgoing.receive(2, `[3,${Status.Stream},null]`);
    await later;
    outgoing.receive(2, `[3,${Status.Thrown},${thrown}]`);
    const last = outgoing.call('9 is closed', []).catch(() => {});
    outgoing.close();
    await Promise.all([settled, last]);
    expect(ends.sort()).toEqual([
      [0, 'ok'],
      [1, 'theirs'],
      [2, 'ERR_AGENT_TIMEOUT'],
      [3, 'ERR_AGENT_PRIMARY_LOST'],
      [4, 'ERR_AGENT_TOO_MANY_PENDING'],
      [5, 'ERR_AGENT_ABORTED'],
      [6, 'ERR_AGENT_TOO_LARGE'],
      [7, 'ERR_AGENT_NOT_SERIALIZABLE'],
      [8, 'ok'],
      [9, 'ERR_AGENT_CLOSED'],
    ]);
  });
});

describe('what failures say', () => {
  const limits = { maxPayload: 1000, maxPending: 4, maxPendingBytes: 100_000, readyTimeout: 5 };
  const messageOf = (work: Promise<unknown>) =>
    work.then(
      () => 'it has not failed',
      (error: Error) => error.message,
    );

  test.each([
    ['#wait', 'wait'],
    ['*Job.run', 'Job.run'],
    ['&Job.run', 'Job.run'],
    ['Job.run', 'Job.run'],
  ])('of a call of %s begins with the name that its user knows', async (name, readable) => {
    const outgoing = outgoingWith(limits);
    const controller = new AbortController();
    const waitsInVain = outgoing.call(name, []);
    const frozen = (what: string, outcome: 'not-sent' | 'unknown' | 'executed') =>
      frozenPrimary(member, 100).why(what, outcome);
    const failures = [
      waitsInVain,
      outgoing.call(name, [], { timeout: 1 }),
      outgoing.call(name, [], { signal: AbortSignal.abort() }),
      outgoing.call(name, [], { signal: controller.signal }),
      outgoing.call(name, [{ f: { g: () => {} } }]),
      outgoing.call(name, ['x'.repeat(2000)]),
    ].map(messageOf);
    controller.abort();
    await waitsInVain.catch(() => {});
    outgoing.open(lane);
    const lost = [outgoing.call(name, []), outgoing.call(name, [])].map(messageOf);
    await turn();
    outgoing.closeLane(1, { written: 9, accepted: null, relieved: false });
    outgoing.freeze(frozen);
    const messages = await Promise.all([...failures, ...lost, messageOf(outgoing.call(name, []))]);
    for (const message of messages) {
      expect(message.startsWith(`${readable}: `)).toBe(true);
    }
    expect(messages[2]).toBe(`${readable}: aborted by its caller's signal; it was not sent.`);
    expect(messages[3]).toBe(messages[2]);
    expect(messages[4]).toBe(`${readable}: args[0].f.g is a function, which can't be sent to another process.`);
  });

  test.each([
    ['#wait', 'wait'],
    ['*Job.run', 'Job.run'],
    ['&Job.run', 'Job.run'],
  ])('of a question for %s begins with it as well, here and where it is asked', async (name, readable) => {
    const requests = new Requests(
      limits,
      () => 'none',
      () => {},
    );
    const options = { timeout: 1000, own: () => 1 };
    const waited = await messageOf(requests.gather(name, [], options));
    const refused = await messageOf(requests.gather(name, [() => {}], options));
    let request = 0;
    requests.join(parcel => {
      request = (parcel as { request: number }).request;
    }, 1000);
    const asked = requests.gather(name, [], { ...options, timeout: 1, own: () => new Promise(() => {}) });
    requests.heed({ type: 'gathered', request, asker: member }, JSON.stringify([{ member, reason: 'lost' }]));
    const outcomes = (await asked) as { reason: Error }[];
    expect(outcomes).toHaveLength(2);
    const answers = new Answers(
      hostOf(() => (async function* () {})()),
      1000,
    );
    const told: string[] = [];
    const ask = { type: 'ask' as const, gather: 1, name, until: Date.now() + 10_000, from: member };
    await answers.answer(ask, encode([], 'args'), 1, (_, body) =>
      told.push((decodeError(decode(body) as PlainError) as Error).message),
    );
    const messages = [waited, refused, ...outcomes.map(each => each.reason.message), ...told];
    expect(messages).toHaveLength(5);
    for (const message of messages) {
      expect(message.startsWith(`${readable}: `)).toBe(true);
    }
  });
});

test('calls that replies cause go before anything else is done, others when the event loop has looked through all', async () => {
  const limits = { maxPayload: 1000, maxPending: 100, maxPendingBytes: 100_000, readyTimeout: 5000 };
  const outgoing = outgoingWith(limits);
  const frames: string[] = [];
  let isTelling = true;
  outgoing.open({ ...lane, isTelling: () => isTelling, send: payload => frames.push(payload as string) });
  const make = () => void outgoing.call('x', []).catch(() => {});
  make();
  expect(frames).toHaveLength(1);
  make();
  make();
  await undefined;
  expect(frames).toHaveLength(2);
  isTelling = false;
  // As two requests, each with microtasks of its own.
  make();
  await undefined;
  make();
  await undefined;
  expect(frames).toHaveLength(2);
  await turn();
  expect(frames).toHaveLength(3);
  expect(JSON.parse(frames[2])).toHaveLength(2 * 3);
  outgoing.close();
});

test('calls that a stopping primary has not accepted wait again, in their order, however many they are', async () => {
  const count = 10_000;
  const limits = { maxPayload: 1000, maxPending: count, maxPendingBytes: 1e9, readyTimeout: 25_000 };
  const outgoing = outgoingWith(limits);
  outgoing.open(lane);
  const calls = Array.from({ length: count }, (_, i) => outgoing.call(`x${i}`, []).catch(() => {}));
  await turn();
  const refusals = Array.from({ length: count }, (_, id) => `${id},${Status.NotAccepted},null`);
  const began = performance.now();
  for (let i = 0; i < count; i += 32) {
    outgoing.receive(1, `[${refusals.slice(i, i + 32)}]`);
  }
  // It takes 0.1 to 0.6 s, by the machine's load. It took 19 s when each refusal looked through all that wait.
  expect(performance.now() - began).toBeLessThan(3_000);
  const names: unknown[] = [];
  outgoing.open({
    ...lane,
    id: 2,
    send: payload => names.push(...(JSON.parse(payload as string) as unknown[]).filter((_, i) => i % 3 === 1)),
  });
  expect(names).toEqual(Array.from({ length: count }, (_, i) => `x${i}`));
  outgoing.close();
  await Promise.all(calls);
});

test('a call that was not accepted waits before those that were made since, and no longer than readyTimeout', async () => {
  const limits = { maxPayload: 1000, maxPending: 10, maxPendingBytes: 10_000, readyTimeout: 50 };
  const outgoing = outgoingWith(limits);
  const names: unknown[] = [];
  const next = {
    ...lane,
    id: 2,
    send: (payload: string | Buffer) =>
      names.push(...(JSON.parse(payload as string) as unknown[]).filter((_, i) => i % 3 === 1)),
  };
  outgoing.open(lane);
  const calls = ['a', 'b', 'c'].map(name => outgoing.call(name, []).catch(error => error.code));
  await turn();
  outgoing.receive(1, `[2,${Status.NotAccepted},null]`);
  calls.push(outgoing.call('d', []).catch(error => error.code));
  // Another frame, with earlier calls.
  outgoing.receive(1, `[1,${Status.NotAccepted},null,0,${Status.NotAccepted},null]`);
  outgoing.open(next);
  expect(names).toEqual(['a', 'b', 'c', 'd']);
  outgoing.receive(
    2,
    `[0,${Status.NotAccepted},null,1,${Status.NotAccepted},null,2,${Status.NotAccepted},null,3,${Status.NotAccepted},null]`,
  );
  expect(await Promise.all(calls)).toEqual(Array(4).fill('ERR_AGENT_NO_PRIMARY'));
});

test('a stream whose items can not be read ends once, however many of them come', async () => {
  const limits = { maxPayload: 1000, maxPending: 3, maxPendingBytes: 10_000, readyTimeout: 5000 };
  const held: boolean[] = [];
  const outgoing = new OutgoingCalls(
    limits,
    () => 'none',
    pending => held.push(pending),
    new OwnMetrics(() => 0, noTraffic),
  );
  const words: string[] = [];
  outgoing.open({ ...lane, send: payload => words.push(payload as string) });
  const unreadable = (status: number) => Buffer.from([0, 0, 0, 0, status, 0xee, 0xee, 0xee]);
  const opening = outgoing.call('stream', []);
  const other = outgoing.call('other', []);
  await turn();
  outgoing.receive(1, `[0,${Status.Stream},null]`);
  const stream = (await opening) as AsyncGenerator;
  words.length = 0;
  for (let i = 0; i < 3; i++) {
    outgoing.receive(1, unreadable(Status.Item));
  }
  await expect(stream.next()).rejects.toMatchObject({ code: 'ERR_AGENT_NOT_SERIALIZABLE', outcome: 'executed' });
  expect(words).toEqual([`[${verbText(0, Verb.Return, 0)}]`]);
  expect([outgoing.count, held]).toEqual([1, [true]]);
  // Its end can't be read either: its number is free then.
  outgoing.receive(1, unreadable(Status.End));
  outgoing.receive(1, `[1,${Status.Value},5]`);
  expect(await other).toBe(5);
  expect([outgoing.count, held]).toEqual([0, [true, false]]);
  const numbers = [outgoing.call('third', []), outgoing.call('fourth', [])];
  await turn();
  outgoing.receive(1, `[0,${Status.Value},"third or fourth",1,${Status.Value},"the other"]`);
  expect((await Promise.all(numbers)).sort()).toEqual(['the other', 'third or fourth']);
});

test('a stream of which the end can not be read fails, and its number is free', async () => {
  const limits = { maxPayload: 1000, maxPending: 1, maxPendingBytes: 10_000, readyTimeout: 5000 };
  const outgoing = outgoingWith(limits);
  outgoing.open(lane);
  const opening = outgoing.call('stream', []);
  outgoing.receive(1, `[0,${Status.Stream},null]`);
  const next = ((await opening) as AsyncGenerator).next();
  outgoing.receive(1, Buffer.from([0, 0, 0, 0, Status.Thrown, 0xee, 0xee, 0xee]));
  await expect(next).rejects.toMatchObject({ code: 'ERR_AGENT_NOT_SERIALIZABLE' });
  const again = outgoing.call('again', []);
  outgoing.receive(1, `[0,${Status.Value},7]`);
  expect(await again).toBe(7);
});

test('calls that nobody waits for any more count as long as the primary does not read', async () => {
  const limits = { maxPayload: 1000, maxPending: 3, maxPendingBytes: 1000, readyTimeout: 5000 };
  const outgoing = outgoingWith(limits);
  let unwritten = 0;
  outgoing.open({ ...lane, unwritten: () => unwritten });
  const call = (size: number) => {
    const caller = new AbortController();
    const ended = outgoing.call('x', ['x'.repeat(size)], { signal: caller.signal }).catch(error => error.code);
    caller.abort();
    return ended;
  };
  for (let i = 0; i < 5; i++) {
    // It reads, and its methods never return.
    expect(await call(1)).toBe('ERR_AGENT_ABORTED');
  }
  unwritten = 1;
  expect(await call(1)).toBe('ERR_AGENT_TOO_MANY_PENDING');
  unwritten = 0;
  // What is not read is of a call for which somebody waits, and counts as that.
  const live = outgoing.call('x', ['x'.repeat(300)]).catch(() => {});
  unwritten = 300;
  expect(await call(1)).toBe('ERR_AGENT_ABORTED');
  outgoing.close();
  await live;

  const large = outgoingWith({ ...limits, maxPending: 100 });
  large.open({ ...lane, unwritten: () => unwritten });
  const abort = new AbortController();
  const first = large.call('x', ['x'.repeat(700)], { signal: abort.signal }).catch(error => error.code);
  abort.abort();
  expect(await first).toBe('ERR_AGENT_ABORTED');
  const ends = async () => {
    const caller = new AbortController();
    const ended = large.call('x', ['x'.repeat(500)], { signal: caller.signal }).catch(error => error.code);
    caller.abort();
    return ended;
  };
  unwritten = 600;
  expect(await ends()).toBe('ERR_AGENT_TOO_MANY_PENDING');
  // The socket has taken most of it: that much is not in this process.
  unwritten = 100;
  expect(await ends()).toBe('ERR_AGENT_ABORTED');
  large.close();
});

test('a gather is not given up while the word on it lies in a busy event loop', async () => {
  const limits = { maxPending: 10, maxPendingBytes: 1_000_000, maxPayload: 1_000_000, readyTimeout: 1000 };
  const requests = new Requests(
    limits,
    () => 'none',
    () => {},
  );
  requests.join(() => {}, 1_000_000);
  const { port1, port2 } = new MessageChannel();
  port1.on('message', () => requests.heed({ type: 'gathered', request: 1, asker: member } as never, encode([], 'x')));
  const gather = requests.gather('#x', [], { timeout: 50, own: async () => 1 } as never);
  await new Promise(resolve => setTimeout(resolve, 60));
  // From here on the broker has 500 ms to say it.
  await turn();
  port2.postMessage('gathered');
  for (const until = performance.now() + 700; performance.now() < until; ) {}
  await expect(gather).resolves.toEqual(expect.any(Array));
  port1.close();
  requests.close();
});

test('a stream that a waiting call gives here is the object that it is, whoever asks for currentCall()', async () => {
  for (const asks of [false, true]) {
    const outgoing = outgoingWith({ maxPayload: 1000, maxPending: 3, maxPendingBytes: 10_000, readyTimeout: 5000 });
    const stream = Readable.from(['a']);
    const call = outgoing.call('x', []);
    const waited = new WaitedCall(() => member, 1, undefined, undefined);
    outgoing.runHere(
      () => stream,
      () => (asks ? waited : undefined),
    );
    expect(await call).toBe(stream);
    outgoing.close();
  }
});

test('the first call of a turn waits for others if the turn before has had others', async () => {
  const limits = { maxPayload: 1000, maxPending: 100, maxPendingBytes: 100_000, readyTimeout: 5000 };
  const outgoing = outgoingWith(limits);
  const sizes: number[] = [];
  let unanswered: number[] = [];
  outgoing.open({
    ...lane,
    isTelling: () => false,
    send: payload => {
      const ids = (JSON.parse(payload as string) as unknown[]).filter((_, i) => i % 3 === 0) as number[];
      unanswered.push(...ids);
      return sizes.push(ids.length);
    },
  });
  const calls: Promise<unknown>[] = [];
  const make = () => calls.push(outgoing.call('x', []));
  const answerAll = async () => {
    outgoing.receive(1, `[${unanswered.map(id => `${id},${Status.Value},null`)}]`);
    unanswered = [];
    await Promise.all(calls.splice(0));
  };
  make();
  expect(sizes).toEqual([1]);
  make();
  await turn();
  expect(sizes).toEqual([1, 1]);
  await answerAll();

  // There were two: the next ones go together.
  make();
  make();
  expect(sizes).toEqual([1, 1]);
  await turn();
  expect(sizes).toEqual([1, 1, 2]);
  await answerAll();

  // This one waits in vain, so that the one after it does not.
  make();
  expect(sizes).toHaveLength(3);
  await turn();
  expect(sizes).toEqual([1, 1, 2, 1]);
  await answerAll();
  make();
  expect(sizes).toEqual([1, 1, 2, 1, 1]);
  await answerAll();
  outgoing.close();
});

test.each([
  // The first is alone, and goes at once.
  { packs: true, sizes: [1, 32, 32, 5], answered: [32, 32, 6] },
  { packs: false, sizes: [1, 32, 32, 5], answered: [32, 32, 6] },
  // So many that both ends have enough to do.
  { packs: true, sizes: [1, 32, 32, 64, 128, 128, 128, 87], answered: [32, 32, 64, 128, 128, 128, 87, 1] },
])('calls of one turn go together, and so do their replies, but not all: %j', async each => {
  const { packs } = each;
  const count = each.sizes.reduce((sum, size) => sum + size);
  // However slow the machine is: no turn is cut short. Node 18 lets nobody assign it.
  Object.defineProperty(performance, 'now', { value: () => 0, configurable: true });
  const limits = { maxPayload: 100_000, maxPending: 1000, maxPendingBytes: 100_000, readyTimeout: 5000 };
  const outgoing = outgoingWith(limits);
  const incoming = new IncomingCalls(
    hostOf((_, args) => args[0]),
    limits,
  );
  incoming.accept();
  const member = new FakeLane(packs);
  const frames: (string | Buffer)[] = [];
  const replies: (string | Buffer)[] = [];
  const into = (list: (string | Buffer)[]) => ({
    send: (payload: string | Buffer) => list.push(payload),
    sendPacked: (bytes: Buffer, from: number, to: number) => list.push(Buffer.from(bytes.subarray(from, to))),
  });
  Object.assign(member, into(replies));
  outgoing.open({ ...lane, packs, maxPayload: 100_000, ...into(frames) });
  const results = Array.from({ length: count }, (_, i) => outgoing.call('echo', [i]));
  await turn();
  const calls: number[] = [];
  for (const frame of frames) {
    expect(typeof frame).toBe(packs ? 'object' : 'string');
    const batch = typeof frame === 'string' ? new CallBatch(frame) : new PackedCalls(frame, frame.length, true);
    calls.push(batch.calls);
    incoming.receive(member, batch);
  }
  await turn();
  expect(calls).toEqual(each.sizes);
  const answered: number[] = [];
  for (const frame of replies) {
    expect(typeof frame).toBe(packs ? 'object' : 'string');
    let replied = 0;
    const sink = { take: () => replied++, refuse: () => {} };
    if (typeof frame === 'string') {
      readReplies(frame, sink);
      outgoing.receive(1, frame);
    } else {
      readPackedReplies(frame, frame.length, sink);
      outgoing.receivePacked(1, frame, frame.length);
    }
    answered.push(replied);
  }
  expect(answered).toEqual(each.answered);
  expect(await Promise.all(results)).toEqual(Array.from({ length: count }, (_, i) => i));
});

describe('packed calls', () => {
  const limits = { maxPayload: 100_000, maxPending: 100, maxPendingBytes: 100_000, readyTimeout: 5000 };
  const large = { ...lane, maxPayload: 100_000 };

  test('become something else for a primary that can not read them', async () => {
    const outgoing = outgoingWith(limits);
    const args = [[1, 'x'], [undefined, -0], ['中']];
    const calls = args.map(each => outgoing.call('before', each));
    const frames: (string | Buffer)[] = [];
    const sendPacked = jest.fn(() => 1);
    outgoing.open({ ...large, send: payload => frames.push(payload), sendPacked });
    const seen: unknown[] = [];
    const sink = {
      call: (_: number, name: string, its: unknown[]) => seen.push([name, its]),
      verb: () => {},
      refuse: () => {},
    };
    for (const frame of frames) {
      const batch = new CallBatch(frame);
      while (batch.next(sink)) {}
    }
    expect(seen).toEqual(args.map(each => ['before', each]));
    expect(sendPacked).not.toHaveBeenCalled();
    outgoing.receive(1, '[0,0,7,1,0,8,2,0,9]');
    expect(await Promise.all(calls)).toEqual([7, 8, 9]);
  });

  test('become text also where the primary takes so little that only that fits', async () => {
    const outgoing = outgoingWith(limits);
    const frames: unknown[] = [];
    const send = (payload: string | Buffer) => frames.push(payload);
    outgoing.open({ ...large, packs: true, maxPayload: 500, send, sendPacked: () => frames.push('packed') });
    const halves = new Array(100).fill(0.5);
    const call = outgoing.call('x', [halves]);
    expect(frames).toEqual([`[0,"x",[${JSON.stringify(halves)}]]`]);
    outgoing.receive(1, '[0,0,7]');
    expect(await call).toBe(7);
    await expect(outgoing.call('x', ['y'.repeat(600)])).rejects.toMatchObject({ code: 'ERR_AGENT_TOO_LARGE' });
    expect(frames).toHaveLength(1);
  });

  test('are the calls that were made, whatever a getter in their arguments does', async () => {
    const outgoing = outgoingWith(limits);
    const frames: Buffer[] = [];
    const sendPacked = (bytes: Buffer, from: number, to: number) => frames.push(Buffer.from(bytes.subarray(from, to)));
    const texts: unknown[] = [];
    outgoing.open({ ...large, packs: true, send: payload => texts.push(payload), sendPacked });
    const controller = new AbortController();
    const given = outgoing.call('given.up', ['x'.repeat(100)], { signal: controller.signal }).catch(() => {});
    const waits = outgoing.call('waits', ['y'], { signal: controller.signal }).catch(() => {});
    const args = [
      {
        get key() {
          outgoing.call('inner.with.a.long.name', ['other']).catch(() => {});
          controller.abort();
          outgoing.call('inner', ['other']).catch(() => {});
          return 'k';
        },
      },
    ];
    outgoing.call('outer', args).catch(() => {});
    outgoing.call('last', [1]).catch(() => {});
    await Promise.all([given, waits, turn()]);
    const seen: unknown[] = [];
    for (const frame of frames) {
      const batch = new PackedCalls(frame, frame.length, true);
      while (batch.next({ call: (_, name, its) => seen.push([name, its]), verb: () => {}, refuse: () => {} })) {}
    }
    expect(seen).toEqual([
      ['given.up', ['x'.repeat(100)]],
      ['outer', [{ key: 'k' }]],
      ['last', [1]],
    ]);
    expect(texts.join()).toContain('"inner.with.a.long.name",["other"]');
    outgoing.close();
  });

  test('and others keep their order in the frames that they take', async () => {
    const outgoing = outgoingWith(limits);
    const order: string[] = [];
    let all: Buffer[] = [];
    outgoing.open({
      ...large,
      packs: true,
      send: payload => order.push(typeof payload === 'string' ? 'text' : 'bytes'),
      sendPacked: (bytes, from, to) => {
        all.push(Buffer.from(bytes.subarray(from, to)));
        return order.push('packed');
      },
    });
    const ids: number[] = [];
    for (const value of [1, 2, 'x'.repeat(300), Array.from({ length: 20 }, () => ({})), 3, new Date(), 4, 5]) {
      outgoing.call('x', [value]).catch(() => {});
    }
    await turn();
    for (const bytes of all) {
      const batch = new PackedCalls(bytes, bytes.length, true);
      while (batch.next({ call: id => ids.push(id), verb: () => {}, refuse: () => {} })) {}
    }
    expect(order).toEqual(['packed', 'packed', 'text', 'packed', 'bytes', 'packed']);
    expect(ids).toEqual([0, 1, 2, 4, 6, 7]);
    // Those that are sent again go together.
    all = [];
    outgoing.closeLane(1, { written: 0, accepted: 0, relieved: false });
    outgoing.open({
      ...large,
      id: 2,
      packs: true,
      sendPacked: (bytes, from, to) => all.push(Buffer.from(bytes.subarray(from, to))),
    });
    ids.length = 0;
    for (const bytes of all) {
      const batch = new PackedCalls(bytes, bytes.length, true);
      while (batch.next({ call: id => ids.push(id), verb: () => {}, refuse: () => {} })) {}
    }
    expect(ids).toEqual([0, 1, 2, 4, 6, 7]);
    outgoing.close();
  });

  test('go together also where one between them has been given up', async () => {
    const outgoing = outgoingWith(limits);
    const controller = new AbortController();
    const values = Array.from({ length: 9 }, (_, i) => `value ${i}`);
    const { signal } = controller;
    const calls = values.map((value, i) => outgoing.call('x', [value], i % 3 === 1 ? { signal } : undefined));
    const settled = Promise.allSettled(calls);
    controller.abort();
    const frames: Buffer[] = [];
    const sendPacked = (bytes: Buffer, from: number, to: number) => frames.push(Buffer.from(bytes.subarray(from, to)));
    outgoing.open({ ...large, packs: true, sendPacked });
    const seen: unknown[] = [];
    expect(frames).toHaveLength(1);
    const batch = new PackedCalls(frames[0], frames[0].length, true);
    while (batch.next({ call: (_, __, [value]) => seen.push(value), verb: () => {}, refuse: () => {} })) {}
    expect(seen).toEqual(values.filter((_, i) => i % 3 !== 1));
    outgoing.close();
    expect((await settled).map(each => each.status)).toEqual(values.map(() => 'rejected'));
  });

  test('give their memory back, however they end', async () => {
    const outgoing = outgoingWith({ ...limits, maxPending: 8 });
    const memory = new Set<Buffer>();
    const open = (id: number) =>
      outgoing.open({ ...large, id, packs: true, sendPacked: bytes => memory.add(bytes) && 1 });
    for (let round = 1; round <= 300; round++) {
      open(round);
      const controller = new AbortController();
      const calls = Array.from({ length: 9 }, (_, i) =>
        outgoing.call('some.method', ['x'.repeat(100), i], {
          ...(i === 1 && { signal: controller.signal }),
          ...(i === 2 && { idempotent: true }),
        }),
      );
      const settled = Promise.allSettled(calls);
      await Promise.resolve();
      controller.abort();
      await turn();
      outgoing.receive(round, `[0,${Status.Value},5,3,${Status.Stream},null,3,${Status.UndefinedEnd},null]`);
      outgoing.closeLane(round, { written: 9, accepted: null, relieved: false });
      // The one that may be sent again runs here.
      outgoing.runHere(() => 'here');
      const outcomes = (await settled).map(each => each.status);
      expect(outcomes.filter(each => each === 'fulfilled')).toHaveLength(3);
    }
    expect(memory.size).toBeLessThanOrEqual(2);
  });

  test('and their replies, too', async () => {
    const incoming = new IncomingCalls(
      hostOf((_, args) => args[0]),
      limits,
    );
    incoming.accept();
    const memory = new Set<Buffer>();
    const chunks = new Chunks();
    for (let round = 0; round < 300; round++) {
      const member = new FakeLane();
      member.sendPacked = bytes => {
        memory.add(bytes);
        return round % 3 === 0 ? -1 : 1;
      };
      const calls = Array.from({ length: 20 }, (_, id) => {
        const call = packCall(chunks, 'echo', ['x'.repeat(100)]) as Packed;
        setId(call, id);
        return Buffer.from(call.bytes.subarray(call.from, call.to));
      });
      const frame = Buffer.concat(calls);
      incoming.receive(member, new PackedCalls(frame, frame.length, true));
      if (round % 3 === 1) {
        incoming.forget(member);
      }
      await turn();
    }
    expect(memory.size).toBeLessThanOrEqual(2);
  });
});

test('a gather whose own part has run is not said not to have been sent', async () => {
  const limits = { maxPayload: 1000, maxPending: 10, maxPendingBytes: 1000, readyTimeout: 20 };
  const requests = new Requests(
    limits,
    () => 'none',
    () => {},
  );
  requests.join(() => {}, 1000);
  const ran = jest.fn();
  const gathered = requests.gather('#x', [], { timeout: 1000, own: ran }).catch(error => error);
  const published = requests.publish('t', 1).catch(error => error);
  await turn();
  // None of it was handed to the operating system, and no other primary comes.
  requests.leave(0, null);
  expect(await gathered).toMatchObject({ code: 'ERR_AGENT_NO_PRIMARY', outcome: 'unknown' });
  expect(await published).toMatchObject({ code: 'ERR_AGENT_NO_PRIMARY', outcome: 'not-sent' });
  expect(ran).toHaveBeenCalledTimes(1);
});

test('the time of a gather that is asked again of another primary begins anew', async () => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'performance'] });
  try {
    const requests = new Requests(
      { maxPayload: 1000, maxPending: 10, maxPendingBytes: 1000, readyTimeout: 5000 },
      () => 'none',
      () => {},
    );
    requests.join(() => {}, 1000);
    const gathered = requests.gather('#x', [], { timeout: 100, own: () => 'own' }).catch(error => error);
    await turn();
    jest.advanceTimersByTime(99);
    requests.leave(0, null);
    jest.advanceTimersByTime(4000);
    requests.join(() => {}, 1000);
    jest.advanceTimersByTime(550);
    requests.heed({ type: 'outcome', request: 1, member, status: Status.Undefined }, '');
    jest.advanceTimersByTime(450);
    requests.heed({ type: 'gathered', request: 1, asker: { ...member, id: 3 } }, '[]');
    expect(await gathered).toMatchObject([{ member: { id: 2 } }, { member: { id: 3 }, value: 'own' }]);
    expect(jest.getTimerCount()).toBe(0);

    const unheard = requests.gather('#x', [], { timeout: 100, own: () => 'own' }).catch(error => error);
    jest.advanceTimersByTime(600);
    expect(await unheard).toMatchObject({ code: 'ERR_AGENT_TIMEOUT', outcome: 'unknown' });
    // Too late: nobody waits for it.
    requests.heed({ type: 'gathered', request: 2, asker: member }, '[]');
    expect(jest.getTimerCount()).toBe(0);
    await requests.idle(0);
  } finally {
    jest.useRealTimers();
  }
});

test('a scrape that can not be sent when a tenure begins fails alone, and holds the process no longer', async () => {
  let holds = 0;
  const agent = { ...noTraffic, sayMetrics: () => true };
  const metrics = new EngineMetrics(
    resolveConfig(undefined),
    hostOf(() => {}),
    agent,
    () => 0,
    () => 'none',
    pending => {
      holds += pending ? 1 : -1;
    },
  );
  const sent: unknown[] = [];
  const scrapes = [10, 0.5, 20].map(timeout => metrics.scrape({ format: 'text', memberLabel: false, timeout }));
  metrics.join(
    1,
    parcel => {
      if ('timeoutMs' in parcel && parcel.timeoutMs === 0.5) {
        throw new Error('no such time');
      }
      sent.push('timeoutMs' in parcel && parcel.timeoutMs);
    },
    1000,
  );
  await expect(scrapes[1]).rejects.toThrow('no such time');
  expect([sent, holds]).toEqual([[10, 20], 1]);
  for (const request of [1, 3]) {
    metrics.heed({ type: 'scraped', request, problems: [] }, 'all');
  }
  expect([await scrapes[0], await scrapes[2], holds]).toEqual(['all', 'all', 0]);
  await metrics.close();
});

test('a question is run once, whatever it throws, and one that is not there yet waits for the end of the start', async () => {
  const missing = () => new ProcessAgentError('ERR_AGENT_UNKNOWN_METHOD', 'not there');
  const ran: string[] = [];
  let isThere = false;
  const host = hostOf(name => {
    ran.push(name);
    throw missing();
  });
  const answers = new Answers({ ...host, knows: () => true }, 1000);
  const early = new Answers({ ...hostOf(name => name), knows: () => isThere }, 1000);
  const ask = { type: 'ask' as const, gather: 1, name: '#x', until: Date.now() + 10_000, from: member };
  const sent: unknown[] = [];
  const send: SendParcel = parcel => sent.push('status' in parcel && parcel.status);
  await answers.answer(ask, encode([], 'args'), 1, send);
  answers.markReady();
  await turn();
  expect([ran, sent]).toEqual([['#x'], [Status.Thrown]]);
  const answered = early.answer(ask, encode([], 'args'), 1, send);
  isThere = true;
  early.markReady();
  await answered;
  expect(sent).toEqual([Status.Thrown, Status.Value]);
});

test('what is to be left is waited for, also for as long as a timer can wait', async () => {
  const host = { ...hostOf(() => {}), giveUp: () => new Promise(resolve => setTimeout(resolve, 20, 'state')) };
  expect(await stateToLeave(host, 2 ** 31 - 1)).toBe(encode('state', 'state'));
});

test('a hook that hangs costs its own state alone, also when the stop has less time than the hooks', async () => {
  const transfers = new Transfers(silent, () => ({ takeOver: 1000, giveUp: 1000 }));
  await transfers.add('hangs', { onHandover: () => new Promise(() => {}) });
  await transfers.add('gives', { onHandover: () => 7 });
  const host = { ...hostOf(() => {}), giveUp: (ms?: number) => transfers.giveUp(ms) };
  expect(await stateToLeave(host, 100)).toBe(encode({ gives: 7 }, 'state'));
});

describe('the others', () => {
  /** What is told of them, as `+pid` and `-pid`, and how often was asked whether all of it is known. */
  function others() {
    const told: string[] = [];
    const all = new Others(
      (event, { pid }) => told.push(`${event === 'member-joined' ? '+' : '-'}${pid}`),
      () => told.push('asked'),
    );
    return { all, told };
  }

  const someone = (pid: number, id = pid) => ({ id, pid, threadId: 0, startedAt: 1, state: 'ready' }) as Member;

  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('whom a process finds in its group is no news, and who joins the next tenure, too, is none', () => {
    const { all, told } = others();
    all.enter([someone(1), someone(2)], []);
    all.tell();
    all.join(someone(3));
    all.enter([someone(2, 1)], [someone(1), someone(9)]);
    // Who is told has to know its own role.
    expect(told).toEqual(['+3']);
    all.join(someone(3, 7));
    all.join(someone(4, 8));
    all.tell();
    expect(told).toEqual(['+3', '-1', '+4']);
    expect([1, 2, 7, 8].map(id => all.get(id)?.pid)).toEqual([2, undefined, 3, 4]);
    jest.runAllTimers();
    expect(told).toEqual(['+3', '-1', '+4', 'asked']);
    all.settle();
    expect(told).toEqual(['+3', '-1', '+4', 'asked']);
  });

  it('who does not join the next tenure has left when all that have are known', () => {
    const { all, told } = others();
    all.enter([someone(1), someone(2), someone(3)], []);
    all.tell();
    all.enter([someone(1)], []);
    all.tell();
    jest.runAllTimers();
    expect(told).toEqual(['asked']);
    // It had joined in time, and this event loop was stuck.
    all.join(someone(3, 2));
    all.settle();
    expect(told).toEqual(['asked', '-2']);
    all.join(someone(2, 4));
    expect(told).toEqual(['asked', '-2', '+2']);
  });

  it('an answer of the tenure before says nothing of this one', () => {
    const { all, told } = others();
    all.enter([someone(1), someone(2)], []);
    all.enter([someone(1)], []);
    all.tell();
    jest.runAllTimers();
    all.pause();
    all.enter([], []);
    all.tell();
    all.settle();
    expect(told).toEqual(['asked']);
    all.pause();
    jest.runAllTimers();
    expect(told).toEqual(['asked']);
  });

  it('who joins again before the end of its old connection is seen has not left', () => {
    const { all, told } = others();
    all.enter([someone(1), someone(2)], []);
    all.tell();
    all.join(someone(2, 3));
    all.leave(someone(2));
    expect(told).toEqual([]);
    all.leave(someone(2, 3));
    expect(told).toEqual(['-2']);
  });
});
