import { IncomingCalls, type IncomingLane } from '../dist/engine/incoming';
import { Turns, type Work } from '../dist/engine/turns';
import { CallBatch, callText, readReplies, Status } from '../dist/engine/wire';

const spin = (ms: number) => {
  const end = performance.now() + ms;
  while (performance.now() < end) {}
};
const turn = () => new Promise<void>(resolve => setImmediate(resolve));

/** Parts of a member's work, each as long as it is told, that write down when they run. */
class Parts implements Work {
  #left: number;
  constructor(
    count: number,
    private readonly ms: number,
    private readonly done: () => void,
  ) {
    this.#left = count;
  }

  /** How often it was told that the rest runs later. */
  kept = 0;
  keep(): void {
    this.kept++;
  }

  next(): boolean {
    if (this.#left === 0) {
      return false;
    }
    this.#left--;
    spin(this.ms);
    this.done();
    return true;
  }
}

describe('turns', () => {
  test('what is short runs at once', () => {
    const order: string[] = [];
    const turns = new Turns<string, Work>();
    turns.run('a', new Parts(20, 0, () => order.push('a')));
    turns.run('b', new Parts(20, 0, () => order.push('b')));
    expect(order.join('')).toBe('a'.repeat(20) + 'b'.repeat(20));
    expect(turns.waiting('a')).toBe(0);
  });

  test('one who has much to do leaves others their turn, and timers theirs; each keeps its order', async () => {
    const order: string[] = [];
    const turns = new Turns<string, Work>();
    turns.run('a', new Parts(64, 1, () => order.push('1')));
    turns.run('a', new Parts(1, 0, () => order.push('2')));
    turns.run('b', new Parts(1, 0, () => order.push('b')));
    expect(order.length).toBeLessThan(64);
    let immediates = 0;
    while (order.length < 66) {
      await turn();
      immediates++;
    }
    expect(immediates).toBeGreaterThan(2);
    expect(order.indexOf('b')).toBeLessThan(40);
    expect(order.filter(each => each !== 'b').join('')).toBe(`${'1'.repeat(64)}2`);
  });

  test('what has to wait is told, before anything else runs', () => {
    const turns = new Turns<string, Work>();
    const [short, long, later] = [new Parts(1, 0, () => {}), new Parts(64, 1, () => {}), new Parts(1, 0, () => {})];
    turns.run('a', short);
    turns.run('a', long);
    turns.run('b', later);
    expect([short.kept, long.kept, later.kept]).toEqual([0, 1, 1]);
  });

  test('what is withdrawn does not run', async () => {
    const ran: string[] = [];
    const turns = new Turns<string, Work>();
    turns.run('a', new Parts(64, 1, () => ran.push('a')));
    turns.run('b', new Parts(1, 0, () => ran.push('b')));
    expect(turns.withdraw('a')).toHaveLength(1);
    expect(turns.withdrawAll()).toHaveLength(1);
    const before = ran.length;
    await turn();
    await turn();
    expect(ran).toHaveLength(before);
  });
});

describe('calls that wait for their turn', () => {
  const member = { id: 7, pid: 1234 } as IncomingLane['member'];
  const replies: { id: number; status: number }[] = [];
  const held: boolean[] = [];
  const lane: IncomingLane = {
    id: 1,
    member,
    epoch: 5,
    maxPayload: 1_000_000,
    packs: false,
    send: payload => {
      readReplies(payload, { take: (id, status) => replies.push({ id, status }), refuse: () => {} });
      return 1;
    },
    sendPacked: () => 0,
    hold: held.push.bind(held),
  };
  const batch = (first: number, count: number) =>
    new CallBatch(`[${Array.from({ length: count }, (_, i) => callText(first + i, ',"spin",', '[]')).join(',')}]`);
  const slow = { invoke: () => spin(0.5), wantsInvocations: false } as unknown as ConstructorParameters<
    typeof IncomingCalls
  >[0];
  let incoming: IncomingCalls;
  beforeEach(() => {
    replies.length = 0;
    held.length = 0;
    incoming = new IncomingCalls(slow, { maxPayload: 1_000_000, maxPendingBytes: 1_000_000 });
    incoming.accept();
  });

  test('are answered in order, before a primary that hands over has said its last word', async () => {
    incoming.receive(lane, batch(0, 50));
    incoming.receive(lane, batch(50, 50));
    expect(replies.length).toBeLessThan(100);
    await incoming.refuse(5_000);
    expect(replies.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(replies.every(({ status }) => status === Status.Undefined)).toBe(true);
  });

  test('are refused at once when they come after that', async () => {
    incoming.receive(lane, batch(0, 50));
    const refused = incoming.refuse(5_000);
    incoming.receive(lane, batch(50, 1));
    incoming.flush();
    expect(replies.find(({ id }) => id === 50)).toEqual({ id: 50, status: Status.NotAccepted });
    await refused;
    expect(replies).toHaveLength(51);
  });

  test('do not begin when their caller is gone, or the tenure is over', async () => {
    let ran = 0;
    const host = { ...slow, invoke: () => spin(ran++ * 0 + 0.5) };
    for (const end of [(it: IncomingCalls) => it.forget(lane), (it: IncomingCalls) => it.suspend()]) {
      const calls = new IncomingCalls(host, { maxPayload: 1_000_000, maxPendingBytes: 1_000_000 });
      calls.accept();
      ran = 0;
      calls.receive(lane, batch(0, 100));
      end(calls);
      const before = ran;
      expect(before).toBeLessThan(100);
      // Nothing is left to wait for.
      await calls.refuse(60_000);
      await turn();
      expect(ran).toBe(before);
    }
  });

  test('keep their lane from bringing more, until there are few', async () => {
    for (let i = 0; i < 8; i++) {
      incoming.receive(lane, batch(i * 20, 20));
    }
    expect(held).toEqual([true]);
    await incoming.refuse(5_000);
    await turn();
    expect(held).toEqual([true, false]);
  });
});
