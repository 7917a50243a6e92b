/** The checks of the chaos test, on journals written by hand: what they must find, they find. */
interface JournalRecord {
  is: string;
  [key: string]: unknown;
}
interface Journalled {
  number: number;
  troubles?: { what: string; from: number; to: number }[];
  killed?: boolean;
  killedAt?: number;
  calm?: boolean;
  records: JournalRecord[];
}
interface Violation {
  what: string;
}
const { check } = require('../scripts/chaos/checks') as {
  check(members: Journalled[], how?: { events?: string[] }): { violations: Violation[] };
};

const made = (id: string, more = {}) => ({ is: 'made', id, kind: 'plain', idempotent: false, at: 1, ...more });
const ran = (id: string, epoch = 5, more = {}) => ({ is: 'ran', id, epoch, here: false, at: 2, ...more });
const settled = (id: string, how: string, more = {}) => ({ is: 'settled', id, how, here: false, at: 3, ...more });
const resolved = (id: string, more = {}) => settled(id, 'resolved', { right: true, by: 2, epoch: 5, ...more });
const taken = (epoch = 5) => [
  { is: 'taking', epoch },
  { is: 'taken', epoch },
];
const gathered = (outcomes: unknown[], more = {}) => [
  { is: 'gather', id: '1.g1', at: 1 },
  { is: 'gathered', id: '1.g1', late: -1900, outcomes, ...more },
];
const fulfilled = (member: number, right = true) => ({ member, status: 'fulfilled', right });
const end = { is: 'end', pending: 0 };

/** A caller, number 1, and a primary, number 2, that both come to their end. */
function whatIsWrong(caller: JournalRecord[], primary: JournalRecord[], how?: Parameters<typeof check>[1]): string[] {
  const members = [
    { number: 1, killed: false, calm: true, records: [...caller, end] },
    { number: 2, killed: false, calm: true, records: [...primary, end] },
  ];
  return check(members, how).violations.map(({ what }) => what);
}

test('nothing is found where everything is as it should be', () => {
  const caller = [
    made('1.1'),
    resolved('1.1'),
    made('1.2', { kind: 'fail' }),
    settled('1.2', 'thrown', { right: true }),
    made('1.3'),
    settled('1.3', 'not-sent', { code: 'ERR_AGENT_NO_PRIMARY' }),
    made('1.4'),
    settled('1.4', 'unknown', { code: 'ERR_AGENT_TIMEOUT', late: 3 }),
    made('1.5', { idempotent: true }),
    resolved('1.5', { epoch: 6 }),
    ...gathered([fulfilled(1), fulfilled(2), { member: 3, status: 'rejected', code: 'ERR_AGENT_MEMBER_LOST' }]),
    { is: 'heard', publisher: 1, n: 1, right: true },
    { is: 'published', n: 1 },
  ];
  const primary = [
    { is: 'primary', epoch: 5 },
    ...taken(5),
    ran('1.1'),
    ran('1.2'),
    ran('1.5'),
    { is: 'gave', epoch: 5 },
    { is: 'taking', epoch: 6, from: 5 },
    { is: 'taken', epoch: 6 },
    ran('1.5', 6, { at: 4 }),
    { is: 'asked', id: '1.g1' },
    { is: 'heard', publisher: 1, n: 1, right: true },
  ];
  expect(whatIsWrong(caller, primary, { events: ['stop'] })).toEqual([]);
});

test.each<[string, JournalRecord[], JournalRecord[], string]>([
  ['a lost call', [made('1.1')], [ran('1.1')], 'a call has no outcome'],
  [
    'a call with two outcomes',
    [made('1.1'), resolved('1.1'), settled('1.1', 'unknown', { code: 'ERR_AGENT_TIMEOUT' })],
    [ran('1.1')],
    'a call has two outcomes',
  ],
  ['two calls of one id', [made('1.1'), made('1.1'), resolved('1.1')], [ran('1.1')], 'two calls have one id'],
  [
    'a double execution in one epoch',
    [made('1.1'), resolved('1.1')],
    [ran('1.1'), ran('1.1')],
    'a call was executed twice in one epoch',
  ],
  [
    'a double execution in two epochs',
    [made('1.1'), resolved('1.1')],
    [ran('1.1'), ran('1.1', 6)],
    'a call was executed twice',
  ],
  [
    'an idempotent call that was executed three times',
    [made('1.1', { idempotent: true }), resolved('1.1')],
    [ran('1.1'), ran('1.1', 6), ran('1.1', 7)],
    'a call was executed twice',
  ],
  [
    'a not-sent that was executed',
    [made('1.1'), settled('1.1', 'not-sent')],
    [ran('1.1')],
    "a call has ended with 'not-sent' and was executed",
  ],
  [
    "an 'executed' that was not",
    [made('1.1'), settled('1.1', 'executed')],
    [],
    "a call has ended with 'executed' and was not executed",
  ],
  [
    'an error of a method that did not run',
    [made('1.1'), settled('1.1', 'thrown', { right: true })],
    [],
    "a call has ended with 'thrown' and was not executed",
  ],
  [
    'a result of a call that did not run',
    [made('1.1'), resolved('1.1')],
    [],
    'a call has resolved and was not executed by whom it says',
  ],
  [
    'a result of another tenure',
    [made('1.1'), resolved('1.1', { epoch: 6 })],
    [ran('1.1')],
    'a call has resolved and was not executed by whom it says',
  ],
  [
    'a wrong value',
    [made('1.1'), resolved('1.1', { right: false })],
    [ran('1.1')],
    'a call has given a wrong value or error',
  ],
  [
    'a failure without an outcome',
    [made('1.1'), settled('1.1', 'unsaid', { code: 'ERR_AGENT_INTERNAL' })],
    [],
    'a call has failed without a word on whether it ran',
  ],
  [
    'a timeout that came late',
    [made('1.1'), settled('1.1', 'unknown', { code: 'ERR_AGENT_TIMEOUT', late: 5000 })],
    [],
    'a call has ended 5000 ms after its timeout or abort',
  ],
  [
    'an execution of a call that nobody made',
    [],
    [ran('1.1')],
    'something was executed or settled that was never called',
  ],
  [
    'a stop that loses what it has accepted',
    [made('1.1'), settled('1.1', 'unknown', { code: 'ERR_AGENT_PRIMARY_LOST' })],
    [ran('1.1')],
    'a primary that has stopped in good order has not answered what it had accepted',
  ],
  [
    'an epoch of two processes',
    [{ is: 'primary', epoch: 5 }],
    [{ is: 'primary', epoch: 5 }],
    'two processes act in one epoch',
  ],
  [
    'an answer before the take-over has ended',
    [made('1.1'), resolved('1.1')],
    [{ is: 'taking', epoch: 5 }, ran('1.1'), { is: 'taken', epoch: 5 }],
    'a primary has answered before it had taken over',
  ],
  [
    'an execution after giving up',
    [made('1.1'), resolved('1.1')],
    [...taken(), { is: 'gave', epoch: 5 }, ran('1.1')],
    'a primary has begun something after it had given up',
  ],
  [
    'a state that came from nowhere',
    [],
    [{ is: 'taking', epoch: 5, from: 4 }],
    'a state was taken over that nobody has given',
  ],
  ['a gather that does not end', [{ is: 'gather', id: '1.g1' }], [], 'a gather has not ended'],
  ['two outcomes of one member', gathered([fulfilled(1), fulfilled(1)]), [], 'a gather has two outcomes of one member'],
  [
    'outcomes that are not in order',
    gathered([fulfilled(2), fulfilled(1)]),
    [],
    'the outcomes of a gather are not in the order of ids',
  ],
  ['a wrong answer to a gather', gathered([fulfilled(1, false)]), [], 'a gather has a wrong answer'],
  ['a late gather', gathered([], { late: 1500 }), [], 'a gather has ended 1500 ms after its deadline'],
  [
    'a member that is asked twice by one gather',
    gathered([]),
    [
      { is: 'asked', id: '1.g1' },
      { is: 'asked', id: '1.g1' },
    ],
    'a member was asked twice by one gather',
  ],
  [
    'publications that are out of order',
    [],
    [
      { is: 'heard', publisher: 1, n: 2, right: true },
      { is: 'heard', publisher: 1, n: 1, right: true },
    ],
    'publications of one member came twice, or not in order',
  ],
  [
    'a publication that its own process has not heard',
    [{ is: 'published', n: 1 }],
    [],
    'a process has not heard what it has published',
  ],
  ['what a process itself has seen', [{ is: 'broken', what: 'x' }], [], 'a process has seen something wrong'],
  ['a call that outlives close()', [{ is: 'end', pending: 1 }], [], 'something is pending after close()'],
])('it finds %s', (_, caller, primary, what) => {
  expect(whatIsWrong(caller, primary)).toEqual([what]);
});

test('two primaries at once are found where none may have been relieved', () => {
  const caller = [made('1.1'), resolved('1.1'), made('1.2'), resolved('1.2', { by: 1, epoch: 6, here: true })];
  const both = [{ ...caller[0] }, ran('1.2', 6, { here: true, at: 1 }), ...caller.slice(1)];
  expect(whatIsWrong(both, [ran('1.1')], { events: ['kill', 'stop', 'freeze'] })).toEqual([
    'a primary has gone on after the next one had begun',
  ]);
  expect(whatIsWrong(both, [ran('1.1')], { events: ['stuck'] })).toEqual([]);
});

test('a lost call is found where nobody was killed', () => {
  const caller = [made('1.1'), settled('1.1', 'unknown', { code: 'ERR_AGENT_PRIMARY_LOST' })];
  expect(whatIsWrong(caller, [], { events: ['stop'] })).toEqual([
    'a call was lost, though every primary has stopped in good order',
  ]);
  expect(whatIsWrong(caller, [], { events: ['kill', 'stop'] })).toEqual([]);
});

test('an idempotent call that fails is found, unless two primaries have died', () => {
  const caller = [
    made('1.1', { idempotent: true, at: 1000 }),
    settled('1.1', 'unknown', { code: 'ERR_AGENT_PRIMARY_LOST', at: 2000 }),
    end,
  ];
  const dead = (number: number, killedAt: number) => {
    return { number, killed: true, killedAt, records: [{ is: 'primary', epoch: number }] };
  };
  const how = { events: ['kill'] };
  const wrong = (...deaths: Journalled[]) => check([{ number: 1, records: caller }, ...deaths], how).violations;
  expect(wrong(dead(2, 1500), dead(3, 1800))).toEqual([]);
  expect(wrong(dead(2, 1500), dead(3, 2800))).toMatchObject([
    { what: 'an idempotent call has failed, though at most one primary has died' },
  ]);
});

test('a state that gets lost is found where nobody was killed', () => {
  const primary = [...taken(5), { is: 'gave', epoch: 5 }];
  const next = taken(6);
  expect(whatIsWrong(next, primary, { events: ['stop'] })).toEqual(['a state was given that nobody has taken over']);
  expect(whatIsWrong(next, primary, { events: ['stop', 'kill'] })).toEqual([]);
  expect(whatIsWrong([], primary, { events: ['stop'] })).toEqual([]);
});

describe('what happens to a process that was well', () => {
  const how = { events: ['kill', 'stop', 'freeze', 'stuck', 'starve', 'clock', 'disk'] };
  const trouble = (what: string, from = 4000, to = 4500) => [{ what, from, to }];
  /** A worker, number 1, and a primary, number 2; what was done to each. */
  const wrong = (
    worker: JournalRecord[],
    primary: JournalRecord[],
    [toWorker = [], toPrimary = []]: Journalled['troubles'][] = [],
  ) =>
    check(
      [
        { number: 1, killed: false, troubles: toWorker, records: [...worker, end] },
        { number: 2, killed: false, troubles: toPrimary, records: [...primary, end] },
      ],
      how,
    ).violations.map(({ what }) => what);

  test('it is found when it was turned out, and not when it was frozen, or its primary was killed', () => {
    const twice = [
      { is: 'worker', epoch: 5, at: 1000 },
      { is: 'worker', epoch: 5, at: 5000 },
    ];
    const primary = [{ is: 'primary', epoch: 5, at: 900 }];
    expect(wrong(twice, primary)).toEqual(['a member that was well was turned out']);
    expect(wrong(twice, primary, [trouble('starve')])).toEqual(['a member that was well was turned out']);
    expect(wrong(twice, primary, [trouble('freeze')])).toEqual([]);
    expect(wrong(twice, primary, [[], trouble('kill', 4000, Infinity)])).toEqual([]);
    // Long after it had gone on.
    expect(wrong([twice[0], { ...twice[1], at: 20_000 }], primary, [[], trouble('freeze', -9000, -8000)])).toEqual([
      'a member that was well was turned out',
    ]);
    expect(wrong([twice[0], { ...twice[1], epoch: 6 }], primary)).toEqual([]);
  });

  test('it is found when it was taken for frozen, and not when somebody was', () => {
    const caller = [
      made('1.1', { at: 4000 }),
      settled('1.1', 'unknown', { code: 'ERR_AGENT_PRIMARY_FROZEN', at: 5000 }),
    ];
    expect(wrong(caller, [])).toEqual(['a primary was taken for frozen, and nobody was']);
    expect(wrong(caller, [], [[], trouble('starve')])).toEqual(['a primary was taken for frozen, and nobody was']);
    expect(wrong(caller, [], [[], trouble('freeze')])).toEqual([]);
  });

  test('it is found when it is primary no more, and not when it had too little of a CPU, or stopped', () => {
    const [first, second] = [[{ is: 'primary', epoch: 5, at: 1000 }], [{ is: 'primary', epoch: 6, at: 5000 }]];
    expect(wrong(second, first)).toEqual(['a primary that was well is primary no more']);
    expect(wrong(second, first, [trouble('stop')])).toEqual(['a primary that was well is primary no more']);
    expect(wrong(second, first, [[], trouble('starve')])).toEqual([]);
    expect(wrong(second, first, [[], trouble('stop', 4000, Infinity)])).toEqual([]);
  });

  test('it is found when there was no room for what it had asked for', () => {
    const refused = { member: 2, status: 'rejected', code: 'ERR_AGENT_TOO_LARGE' };
    const asker = gathered([refused], { at: 5000 });
    expect(wrong(asker, [], [trouble('starve')])).toEqual(['an answer was too much for a member that reads']);
    expect(wrong(asker, [], [trouble('stuck')])).toEqual([]);
  });

  test('it may be late with little of a CPU, and not without', () => {
    const late = [made('1.1'), settled('1.1', 'unknown', { code: 'ERR_AGENT_TIMEOUT', late: 5000 })];
    expect(wrong(late, [])).toEqual(['a call has ended 5000 ms after its timeout or abort']);
    expect(wrong(late, [], [trouble('starve')])).toEqual([]);
    expect(wrong(gathered([], { late: 1500 }), [])).toEqual(['a gather has ended 1500 ms after its deadline']);
    expect(wrong(gathered([], { late: 1500 }), [], [trouble('starve')])).toEqual([]);
  });
});

test('a timeout that comes early is found', () => {
  const timeout = (at: number) => [
    made('1.1', { limit: 500, at: 1000 }),
    settled('1.1', 'not-sent', { code: 'ERR_AGENT_TIMEOUT', at }),
  ];
  expect(whatIsWrong(timeout(1400), [])).toEqual(['a call has ended 100 ms before its timeout']);
  expect(whatIsWrong(timeout(1499), [])).toEqual([]);
});

test('an answer that does not come is found where nothing was done to the processes', () => {
  const gather = gathered([fulfilled(1), { member: 2, status: 'rejected', code: 'ERR_AGENT_TIMEOUT' }]);
  const scrape = (took: number) => [{ is: 'scraped', took, at: 9 }];
  const how = { events: ['clock', 'disk'] };
  expect(whatIsWrong(gather, [], how)).toEqual(['a member that was well has not answered in time']);
  expect(whatIsWrong(scrape(3001), [], how)).toEqual(['a scrape has waited for its whole time, though all were well']);
  expect(whatIsWrong(scrape(30), [], how)).toEqual([]);
  expect(whatIsWrong([...gather, ...scrape(3001)], [], { events: ['clock', 'freeze'] })).toEqual([]);
});

test('a disk that is full without having been filled is found', () => {
  const full = [{ is: 'full', what: 'No space left on device', at: 1 }];
  expect(whatIsWrong(full, [], { events: ['stop'] })).toEqual(['a disk was full that was not filled']);
  expect(whatIsWrong(full, [], { events: ['stop', 'disk'] })).toEqual([]);
});

test('a relief is found where primaries were only frozen', () => {
  const [one, two] = [[{ is: 'primary', epoch: 5 }], [{ is: 'primary', epoch: 6 }]];
  expect(whatIsWrong(one, two, { events: ['freeze'] })).toEqual(['a frozen primary was relieved']);
  expect(whatIsWrong(one, two, { events: ['freeze', 'kill'] })).toEqual([]);
});

test('a killed process owes no outcomes, but what it made must not run twice either', () => {
  const killed = { number: 1, killed: true, records: [made('1.1'), made('1.2')] };
  const primary = { number: 2, killed: false, records: [ran('1.1'), ran('1.2'), ran('1.2'), ran('1.3'), end] };
  expect(check([killed, primary]).violations.map(({ what }) => what)).toEqual([
    'a call was executed twice in one epoch',
  ]);
});

test('a process that ends without a word is found', () => {
  expect(check([{ number: 1, killed: false, records: [] }]).violations.map(({ what }) => what)).toEqual([
    'a process that was not killed has not come to its end',
  ]);
});
