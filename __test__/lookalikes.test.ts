/** Nothing that a user can write means anything to the codec: values that are made of its own words arrive as they are. */
import { decode, encode } from '../ts/codec';
import { pack } from '../ts/codec/pack';
import { LARGEST_PACKED } from '../ts/codec/packed';
import { unpack } from '../ts/codec/unpack';
import { CallBatch, callText, encodeArgs, nameText, readReplies, replyText, Status } from '../ts/engine/wire';
import { decodeError, encodeError, type PlainError } from '../ts/errors';
import { Transfers } from '../ts/transfer';
import { numbers } from './support/numbers';
import { difference } from './support/same';

const MARK = '$processAgentError';

/** An error's field, there and back through either codec. */
function asField(value: unknown, how: 'text' | 'bytes'): unknown {
  const plain = encodeError(Object.assign(new Error('invalid'), { value }));
  const sent = how === 'text' ? plain : [plain, 1n];
  const arrived = decode(encode(sent, 'error'));
  const error = decodeError((how === 'text' ? arrived : (arrived as unknown[])[0]) as PlainError);
  return (error as { value: unknown }).value;
}

/** What the codec writes itself, wherever it writes it. */
const WORDS = [
  ...[MARK, `$${MARK}`, `$$${MARK}`, MARK.slice(1), '$', 'thrown', 'heads', 'rows', 'escaped', 'chain', 'fields'],
  ...['hidden', 'shown', 'name', 'message', 'stack', 'cause', 'errors', 'code', 'status', 'node:Error', 'value', 'E'],
  ...[
    '__proto__',
    'constructor',
    'prototype',
    'then',
    'length',
    'toJSON',
    'undefined',
    'type',
    'args',
    'id',
    'carrier',
  ],
  ...['', '0', '1', '\0', 'a\0b', '\0\0', '[', '#', '*', '&', '!', '@', '^1', '\u00ff\u000f', '\ud800'],
];

/** A value that looks like what the codec writes. */
function lookalike(next: (below: number) => number, depth = 0): unknown {
  const word = () => WORDS[next(WORDS.length)];
  const inner = () => lookalike(next, depth + 1);
  switch (next(depth < 4 ? 10 : 4)) {
    case 0:
      return next(9);
    case 1:
      return word();
    case 2:
      return [null, true, undefined, -0, 1n, 100][next(6)];
    case 3:
      return { [MARK]: next(4) };
    case 4:
      return { [word()]: inner() };
    case 5:
      return { ['$'.repeat(next(4)) + MARK.slice(1)]: inner() };
    case 6:
      return Object.fromEntries(Array.from({ length: next(4) }, () => [word(), inner()]));
    case 7:
      return Object.assign(
        [] as unknown[],
        next(3) === 0 ? { [MARK]: next(2) } : Array.from({ length: next(3) }, inner),
      );
    case 8:
      return next(2) === 0 ? new Map([[inner(), inner()]]) : new Set([inner(), inner()]);
    default:
      // An error among them: there are marks beside what looks like one.
      return { error: Object.assign(new TypeError('inner'), { cause: inner(), field: inner() }), beside: inner() };
  }
}

describe.each(['text', 'bytes'] as const)('in the field of an error that goes as %s,', how => {
  it.each<[string, unknown]>([
    ['a mark of the error itself', JSON.parse(`{"${MARK}": 0}`)],
    ['a mark below', { body: { list: [{ [MARK]: 0 }] } }],
    ['what a mark is escaped as', { [`$${MARK}`]: 0 }],
    ['what that is escaped as', { [`$$${MARK}`]: 0 }],
    ['one beside the other', [{ [MARK]: 0 }, { [`$${MARK}`]: { [MARK]: 0 } }, { [MARK]: '0' }, { [MARK]: -1 }]],
    ['a mark that is a key of an array', Object.assign([], { [MARK]: 0 })],
    ['a description of an error', { thrown: { [MARK]: 0 }, heads: [], rows: [], escaped: true }],
  ])('%s arrives as what it is', (_, value) => {
    expect(difference(asField(value, how), value)).toBeUndefined();
  });

  it('one object that looks like a mark, twice, arrives as one', () => {
    const same = { [MARK]: 0 };
    const arrived = asField([same, { same }], how) as [unknown, { same: unknown }];
    expect(difference(arrived, [same, { same }])).toBeUndefined();
  });

  it('one that is a mark only without what can not travel arrives as what is left of it', () => {
    expect(asField({ [MARK]: 0, send: () => 1 }, how)).toEqual({ [MARK]: 0 });
  });

  it.each([1, 2, 3, 4, 5, 6])('anything that is made of the words of the codec arrives as it was (seed %i)', seed => {
    const next = numbers(seed);
    let looked = 0;
    for (let i = 0; i < 400; i++) {
      const value = lookalike(next);
      looked += Number(JSON.stringify(value, (_, each) => (typeof each === 'bigint' ? '' : each))?.includes(MARK) ?? 0);
      expect(difference(asField(value, how), value)).toBeUndefined();
    }
    expect(looked).toBeGreaterThan(50);
  });
});

describe('what is thrown and looks like a mark', () => {
  it('arrives as it is: alone, and beside an error', () => {
    const travel = (thrown: unknown) => decodeError(decode(encode(encodeError(thrown), 'error')) as PlainError);
    expect(travel({ [MARK]: 0 })).toEqual({ [MARK]: 0 });
    expect(difference(travel([{ [MARK]: 0 }, new Error('a')]), [{ [MARK]: 0 }, new Error('a')])).toBeUndefined();
  });

  it('that an older version has not escaped is read as before', () => {
    const head = { chain: ['node:Error'], name: 'Error', message: 'x' };
    const rows = [{ fields: { [`$${MARK}`]: 1, a: { [`$${MARK}`]: 0 } } }];
    const arrived = decodeError({ thrown: { [MARK]: 0 }, heads: [head], rows } as PlainError);
    expect(arrived).toMatchObject({ [`$${MARK}`]: 1, a: { [`$${MARK}`]: 0 } });
  });

  it('leaves the error what it is for an older version, which knows no escapes', () => {
    const { thrown, heads } = encodeError(Object.assign(new Error('a'), { body: { [MARK]: 0 } }));
    expect([thrown, heads?.length]).toEqual([{ [MARK]: 0 }, 1]);
  });
});

describe('arguments, results, items and states that are made of the words of the codec arrive as they were:', () => {
  it.each([1, 2, 3, 4])('as text, as bytes, packed, and in frames (seed %i)', seed => {
    const next = numbers(seed);
    const room = Buffer.alloc(LARGEST_PACKED + 200);
    for (let i = 0; i < 400; i++) {
      const value = lookalike(next);
      expect(difference(decode(encode(value, 'result')), value)).toBeUndefined();
      expect(difference(decode(encode([value, 1n], 'args')), [value, 1n])).toBeUndefined();
      const end = pack(value, false, room, 0);
      if (end > 0) {
        expect(difference(unpack(room, 0, end), value)).toBeUndefined();
      }
      expect(difference(inFrame(value), value)).toBeUndefined();
    }
  });

  it('also under names that are words, from one primary to the next', async () => {
    const logger = { debug: fail, info: fail, warn: fail, error: fail };
    const limits = () => ({ takeOver: 1000, giveUp: 1000 });
    const [old, young] = [new Transfers(logger, limits), new Transfers(logger, limits)];
    const taken = new Map<string, unknown>();
    // An empty name is refused.
    const names = WORDS.filter(word => word !== '');
    for (const name of names) {
      old.add(name, { onHandover: () => ({ [MARK]: name }) });
      young.add(name, { onPrimary: state => void taken.set(name, state) });
    }
    await young.takeOver(decode(encode(await old.giveUp(), 'state')), 2);
    expect([...taken]).toEqual(names.map(name => [name, { [MARK]: name }]));
  });
});

function fail(message: string): void {
  throw new Error(message);
}

/** A value as an argument and as a result, in frames of text where it can be text. */
function inFrame(value: unknown): unknown {
  const { encoded } = encodeArgs('A.b', [value], undefined);
  if (typeof encoded !== 'string') {
    return value;
  }
  let args: unknown[] = [];
  const calls = new CallBatch(`[${callText(1, nameText('A.b', undefined), encoded)}]`);
  calls.next({
    call: (_id, _name, sent) => {
      args = sent;
    },
    verb: fail as never,
    refuse: fail as never,
  });
  let result: unknown;
  readReplies(`[${replyText(1, Status.Value, encode(args[0], 'result') as string)}]`, {
    take: (_id, _status, sent) => {
      result = sent;
    },
    refuse: fail as never,
  });
  return result;
}
