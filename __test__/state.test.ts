const KEY = Symbol.for('@midwayjs/process-agent');
const shared = globalThis as unknown as Record<symbol, { copies: string[]; protocol: number }>;

/** The module as another copy of the package would load it: after somebody else's state is there. */
function loadBeside(first: object): typeof import('../ts/state') {
  Object.defineProperty(globalThis, KEY, { value: first, configurable: true });
  let loaded: typeof import('../ts/state') | undefined;
  jest.isolateModules(() => {
    loaded = require('../ts/state');
  });
  return loaded as typeof import('../ts/state');
}

describe('a copy of the package', () => {
  let warnings: string[];
  beforeEach(() => {
    warnings = [];
    jest.spyOn(process, 'emitWarning').mockImplementation(warning => {
      warnings.push(String(warning));
    });
  });
  afterEach(() => {
    jest.restoreAllMocks();
    Reflect.deleteProperty(globalThis, KEY);
  });

  it('that is loaded first starts the state of the process', () => {
    jest.isolateModules(() => {
      expect(require('../ts/state').state).toBe(shared[KEY]);
    });
    expect(warnings).toEqual([]);
  });

  it('that is loaded twice from one folder finds its own state, and is silent', () => {
    let first: unknown;
    jest.isolateModules(() => {
      first = require('../ts/state').state;
    });
    expect(loadBeside(first as object).state).toBe(first);
    expect(warnings).toEqual([]);
  });

  it('that is loaded beside a compatible one shares its state, and warns once', () => {
    const first = { protocol: 3, version: '4.0.9', copies: ['/app/node_modules/a'], memberships: [] };
    expect(loadBeside(first).state).toBe(first);
    loadBeside(first);
    expect(warnings).toEqual([
      expect.stringMatching(/loaded twice .*4\.0\.9 from \/app\/node_modules\/a.*one membership/),
    ]);
  });

  it('that is loaded beside one of another protocol shares nothing, and says so', () => {
    const first = { protocol: 0, version: '3.0.0', copies: ['/app/node_modules/a'] };
    const { state } = loadBeside(first);
    expect(state).not.toBe(first);
    expect(state.memberships).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('These versions share nothing')]);
  });
});
