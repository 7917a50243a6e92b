import { encode } from '../ts/codec';
import { Answers } from '../ts/engine/answers';
import type { Tally } from '../ts/engine/call';
import type { EngineHost, Invocation } from '../ts/engine/engine';
import { IncomingCalls, type IncomingLane } from '../ts/engine/incoming';
import { OutgoingCalls, type OutgoingLimits } from '../ts/engine/outgoing';
import { Requests, type SendParcel } from '../ts/engine/requests';
import { stateToLeave } from '../ts/engine/takeover';
import { TrackedCalls } from '../ts/engine/tracked';
import { callText, nameText, readReplies, Status } from '../ts/engine/wire';
import { encodeError, ProcessAgentError } from '../ts/errors';
import type { Member } from '../ts/interface';
import { OwnMetrics } from '../ts/metrics/own';
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

  send = (payload: string | Buffer, bounded: boolean): number => {
    if (this.full && bounded) {
      return -1;
    }
    readReplies(
      payload,
      (id, status, value) => this.replies.push({ id, status, value: value as Reply['value'] }),
      () => {},
    );
    return 1;
  };

  hold(held: boolean): void {
    this.held.push(held);
  }
}

describe('calls that come in', () => {
  const limits = { maxPayload: 1_000_000, maxPendingBytes: 1_000_000 };
  const call = (id: number, name: string) => `[${callText(id, nameText(name, undefined), '[]')}]`;
  let lane: FakeLane;
  beforeEach(() => {
    lane = new FakeLane();
  });

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

afterEach(() => jest.restoreAllMocks());

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

test('the size of what is sent counts, not its estimate, where the primary takes less', async () => {
  const limits = { maxPayload: 1_000_000, maxPending: 10, maxPendingBytes: 1_000_000, readyTimeout: 5000 };
  const outgoing = outgoingWith(limits);
  const sent: unknown[] = [];
  outgoing.open({ id: 1, maxPayload: 1000, isTelling: () => true, send: payload => sent.push(payload) });
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
    outgoing.open({ id: 1, maxPayload: 1000, isTelling: () => true, send: () => 1 });
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
    const open = (id: number) =>
      outgoing.open({ id, maxPayload: 1000, isTelling: () => true, send: payload => sent.push(payload) });
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

test('calls that replies cause go before anything else is done, others when the event loop has looked through all', async () => {
  const limits = { maxPayload: 1000, maxPending: 100, maxPendingBytes: 100_000, readyTimeout: 5000 };
  const outgoing = outgoingWith(limits);
  const frames: string[] = [];
  let isTelling = true;
  outgoing.open({
    id: 1,
    maxPayload: 1000,
    isTelling: () => isTelling,
    send: payload => frames.push(payload as string),
  });
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

test('calls of one turn go together, and so do their replies, but not all of them', async () => {
  // However slow the machine is: no turn is cut short.
  jest.spyOn(performance, 'now').mockReturnValue(0);
  const limits = { maxPayload: 1000, maxPending: 100, maxPendingBytes: 100_000, readyTimeout: 5000 };
  const outgoing = outgoingWith(limits);
  const incoming = new IncomingCalls(
    hostOf((_, args) => args[0]),
    limits,
  );
  incoming.accept();
  const lane = new FakeLane();
  const calls: number[] = [];
  const replies: string[] = [];
  const count = (payload: unknown) => JSON.parse(payload as string).length / 3;
  lane.send = payload => replies.push(payload as string);
  const frames: string[] = [];
  outgoing.open({ id: 1, maxPayload: 1000, isTelling: () => true, send: payload => frames.push(payload as string) });
  const results = Array.from({ length: 70 }, (_, i) => outgoing.call('echo', [i]));
  await turn();
  for (const frame of frames) {
    calls.push(count(frame));
    incoming.receive(lane, frame);
  }
  await turn();
  // The first is alone, and goes at once.
  expect(calls).toEqual([1, 32, 32, 5]);
  expect(replies.map(count)).toEqual([32, 32, 6]);
  for (const frame of replies) {
    outgoing.receive(1, frame);
  }
  expect(await Promise.all(results)).toEqual(Array.from({ length: 70 }, (_, i) => i));
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

test('a question is run once, also when what it runs fails with what another process does not have', async () => {
  const missing = () => new ProcessAgentError('ERR_AGENT_UNKNOWN_METHOD', 'not there');
  const ran: string[] = [];
  let isThere = false;
  const answers = new Answers(
    hostOf(async name => {
      ran.push(name);
      await null;
      throw missing();
    }),
    1000,
  );
  const early = new Answers(
    hostOf(name => {
      if (!isThere) {
        throw missing();
      }
      return name;
    }),
    1000,
  );
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

test('a hook that hangs costs its own state alone, also when the stop has less time than the hooks', async () => {
  const transfers = new Transfers(silent, () => ({ takeOver: 1000, giveUp: 1000 }));
  await transfers.add('hangs', { onHandover: () => new Promise(() => {}) });
  await transfers.add('gives', { onHandover: () => 7 });
  const host = { ...hostOf(() => {}), giveUp: (ms?: number) => transfers.giveUp(ms) };
  expect(await stateToLeave(host, 100)).toBe(encode({ gives: 7 }, 'state'));
});
