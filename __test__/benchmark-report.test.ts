// The benchmark's page and picture, made from results written by hand.
const { report } = require('../benchmark/report');
const { drawAnatomy } = require('../benchmark/anatomy-picture');
const { drawCalls } = require('../benchmark/picture');
const { reasonOf, median } = require('../benchmark/results');
const { compareWithTargets } = require('../benchmark/targets');

const where = { date: '2026-01-02', machine: '2 cores', node: 'v20.0.0' };
const calls = {
  ...where,
  rounds: 7,
  duration: 400,
  peers: [
    {
      id: 'agent',
      name: 'this package',
      medians: { latency: { p50: 5, p99: 50 }, throughput: { rate: 300_000, cpu: 2 } },
      reasons: {},
    },
    {
      id: 'send',
      name: 'process.send, JSON',
      medians: { latency: { p50: 100, p99: 200 }, throughput: { rate: 100_000, cpu: 10 } },
      reasons: {},
    },
    { id: 'absent', name: 'a <peer>', medians: {}, reasons: { all: 'does not install' } },
    {
      id: 'slow',
      name: 'a slow one',
      medians: { latency: { p50: 1000, p99: 2000 } },
      reasons: { throughput: 'no answer within 15 s' },
    },
  ],
};

describe('the benchmark', () => {
  it('compares with process.send, so that more than 1 is better, whether less or more of a number is', () => {
    const page = report({ calls });
    expect(page).toContain('| this package | 5.0 | 50.0 | 20.00x | 4.00x |');
    expect(page).toContain('| this package | 300,000 | 2.0 | 3.00x | 5.00x |');
    expect(page).toContain('| a slow one | 1,000 | 2,000 | 0.10x | 0.10x |');
  });

  it('shows what no call can be faster than in the tables, and not among the peers', () => {
    const limit = {
      id: 'bare',
      name: 'the least',
      isLimit: true,
      medians: { latency: { p50: 80, p99: 90 } },
      reasons: {},
    };
    const measured = { ...calls, peers: [...calls.peers, limit] };
    const page = report({ calls: measured });
    expect(page).toContain('no call can be faster than "the least": 80.0 µs, 1.25x.');
    expect(page).toContain('| the least | 80.0 | 90.0 | 1.25x | 2.22x |');
    expect(report({ calls })).not.toContain('no call can be faster');
    expect(drawCalls(measured)).toBe(drawCalls(calls));
  });

  it('says of a peer that is not measured why it is not', () => {
    const page = report({ calls });
    expect(page).toContain('a <peer>: not measured: does not install');
    expect(page).toContain('a slow one: not measured: no answer within 15 s');
    expect(page).not.toContain('NaN');
  });

  it('tells what is reached, and nothing about what was not measured', () => {
    const rows: { title: string; verdict: string }[] = compareWithTargets(calls.peers, undefined);
    expect(rows.map(({ title, verdict }) => [title, verdict])).toEqual([
      ['one call at a time, p50', 'aim'],
      ['one call at a time, p99', 'at least'],
      ['64 calls at once', 'at least'],
      ['CPU per call', 'aim'],
    ]);
  });

  it('tells of what one call takes what is not known as the rest, and what no wake-up would take', () => {
    const ids = ['argumentsPacked', 'made', 'callsRead', 'run', 'resultPacked', 'repliesRead', 'settled'];
    const anatomy = { ...where, parts: Object.fromEntries(ids.map(id => [id, 0.25])) };
    const asleep = { id: 'agent-no-spin', name: 'no spin', medians: { latency: { p50: 75, p99: 100 } }, reasons: {} };
    const measured = { calls: { ...calls, peers: [...calls.peers, asleep] }, anatomy };
    const page = report(measured);
    expect(page).toContain('| caller: arguments are packed | 0.25 | 0.25 | 0.25 |');
    expect(page).toMatch(/\| the rest: .* \| 0\.25 \| 3\.25 \| 3\.25 \|/);
    expect(page).toContain('| two wake-ups of a processor | - | - | 70.00 |');
    expect(drawAnatomy(measured).match(/ µs<\/text>/g)).toHaveLength(3);
    expect(report({ anatomy })).toContain('| caller: arguments are packed | 0.25 |');
  });

  it('draws a bar for each peer that was measured', () => {
    const picture: string = drawCalls(calls);
    expect(picture.match(/<rect /g)).toHaveLength(3 + 2);
    expect(picture).toContain('>20.0x<');
    expect(picture).not.toContain('NaN');
  });

  it('gives reasons without the folders and hosts of the machine', () => {
    const error = new Error(
      `cannot reach https://host.example/a in ${process.cwd()}/.work for /tmp/bench-1/peer\nmore`,
    );
    expect(reasonOf(error, '/tmp/bench-1')).toBe('cannot reach (address) in /.work for /peer');
  });

  it('has no median of what can not be measured', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([null, null])).toBeNaN();
  });
});
