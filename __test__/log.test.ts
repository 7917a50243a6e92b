/** The agent's own log: it never throws, is never silent, and is limited in rate. */
import { AgentLog, LineLimit } from '../ts/log';

afterEach(() => jest.restoreAllMocks());

function recordConsole(): string[] {
  const lines: string[] = [];
  for (const level of ['info', 'warn', 'error'] as const) {
    jest.spyOn(console, level).mockImplementation((...args) => void lines.push(`${level}: ${args.join(' ')}`));
  }
  return lines;
}

function recordingLog() {
  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const log = new AgentLog(() => ({ debug: write, info: write, warn: write, error: write }));
  return { lines, log };
}

const NOTICE = "warn: [process-agent] the application's logger fails, so the agent's lines are here: ";

it.each([
  [
    'there is no logger',
    () => {
      throw new Error('EACCES');
    },
  ],
  [
    'the logger throws',
    () => {
      const fail = () => {
        throw new Error('EACCES');
      };
      return { debug: fail, info: fail, warn: fail, error: fail };
    },
  ],
])('goes to the console when %s, and says so once', (_, logger) => {
  const lines = recordConsole();
  const log = new AgentLog(logger);
  log.info('elected');
  log.error('lost', new Error('why'));
  log.forward('warn', 'from Rust');
  expect(lines).toEqual([`${NOTICE}EACCES`, 'info: elected', 'error: lost Error: why', 'warn: from Rust']);
});

it('goes to the console when the promise of a logger is rejected', async () => {
  const lines = recordConsole();
  const fail = async () => Promise.reject(new Error('EACCES'));
  new AgentLog(() => ({ debug: fail, info: fail, warn: fail, error: fail })).warn('lost');
  await new Promise(setImmediate);
  expect(lines).toEqual([`${NOTICE}EACCES`, 'warn: lost']);
});

it('does not throw when the logger throws what has no text, and the console throws, too', () => {
  for (const level of ['info', 'warn', 'error'] as const) {
    jest.spyOn(console, level).mockImplementation(() => {
      throw new Error('EPIPE');
    });
  }
  const log = new AgentLog(() => {
    throw Object.create(null);
  });
  expect(() => log.error('lost')).not.toThrow();
});

it('writes a few of 1,000 lines that differ in numbers only, and every line of another kind', () => {
  const { lines, log } = recordingLog();
  for (let pid = 0; pid < 1_000; pid++) {
    log.warn(`pid ${pid} goes on`);
  }
  log.warn('something else');
  expect(lines).toEqual([0, 1, 2, 3, 4].map(pid => `pid ${pid} goes on`).concat('something else'));
});

it('says how many lines were left out when it next writes one of that kind', () => {
  const clock = jest.spyOn(performance, 'now').mockReturnValue(0);
  const { lines, log } = recordingLog();
  for (let i = 0; i < 300; i++) {
    log.warn('again %s', i);
  }
  clock.mockReturnValue(10_000);
  log.warn('again %s', 300);
  expect(lines).toHaveLength(6);
  expect(lines[5]).toBe('again %s (295 lines of this kind were left out before it)');
});

it('lets one line of a kind pass in 10 s after a burst, and a burst again after a long silence', () => {
  const limit = new LineLimit();
  const admitted = (from: number, count: number, every: number) =>
    Array.from({ length: count }, (_, i) => limit.admit('line', from + i * every)).filter(left => left !== undefined);
  // 20 a second, for a minute.
  expect(admitted(0, 1_200, 50)).toEqual([0, 0, 0, 0, 0, 195, 199, 199, 199, 199]);
  expect(admitted(3_600_000, 100, 0)).toEqual([199, 0, 0, 0, 0]);
});

it('forgets the oldest kind, so that made-up kinds do not fill the memory', () => {
  const limit = new LineLimit();
  for (let i = 0; i < 5; i++) {
    limit.admit('first', 0);
  }
  expect(limit.admit('first', 0)).toBeUndefined();
  for (let i = 0; i < 2_000; i++) {
    limit.admit(`made up ${'x'.repeat(i % 250)} ${i % 2 ? 'y' : 'z'}${'w'.repeat(i % 7)}`, 0);
  }
  expect(limit.admit('first', 0)).toBe(0);
});
