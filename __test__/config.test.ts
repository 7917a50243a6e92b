import { resolveConfig } from '../ts/config';
import { ProcessAgentError } from '../ts/errors';

function refusal(raw: unknown): ProcessAgentError {
  try {
    resolveConfig(raw);
  } catch (err) {
    return err as ProcessAgentError;
  }
  throw new Error('It was accepted.');
}

describe('the configuration', () => {
  it('has a default for everything that does not depend on the process', () => {
    expect(resolveConfig(undefined)).toEqual({
      candidate: true,
      readyTimeout: 25_000,
      stopTimeout: 1_200,
      maxPayload: 64 * 1024 * 1024,
      maxPending: 10_000,
      maxPendingBytes: 256 * 1024 * 1024,
      primary: { maxBlocked: 30_000, onFrozen: 'wait' },
      health: { group: true, maxLag: 1_000, forgetDead: 60_000, minMembers: 0, policy: 'all' },
      metrics: { pushInterval: 5_000, timeout: 1_000, memberLabel: false, quantiles: 'drop', aggregators: {} },
      spin: true,
    });
    expect(resolveConfig({})).toEqual(resolveConfig(undefined));
  });

  it('takes what is given, and a key that is undefined as not given', () => {
    expect(
      resolveConfig({ group: 'billing:eu-1@v2', runtimeDir: '/run/app', candidate: false, stopTimeout: undefined }),
    ).toMatchObject({ group: 'billing:eu-1@v2', runtimeDir: '/run/app', candidate: false, stopTimeout: 1_200 });
  });

  it('takes false in the place of a group, and no other that is no name', () => {
    expect(resolveConfig({ group: false }).group).toBe(false);
    expect(refusal({ group: true }).message).toMatch(/processAgent\.group is true; it must be 1 to 100 .* or false/);
    expect(refusal({ group: null }).message).toContain('processAgent.group is null;');
  });

  it('has no admin endpoint until one is given, which then is for this host alone', () => {
    expect(resolveConfig({ admin: undefined }).admin).toBeUndefined();
    expect(resolveConfig({ admin: { port: 9400 } }).admin).toEqual({ port: 9400, host: '127.0.0.1', hosts: [] });
    expect(resolveConfig({ admin: { port: 9400, host: undefined } }).admin?.host).toBe('127.0.0.1');
    expect(resolveConfig({ admin: { port: 1, host: '::' } }).admin).toEqual({ port: 1, host: '::', hosts: [] });
    expect(resolveConfig({ admin: { port: 1, hosts: ['shop.internal'] } }).admin?.hosts).toEqual(['shop.internal']);
  });

  it('refuses an unknown key and suggests the nearest one', () => {
    const err = refusal({ readytimeOut: 5 });
    expect(err).toBeInstanceOf(ProcessAgentError);
    expect(err.code).toBe('ERR_AGENT_CONFIG');
    expect(err.message).toBe(
      'Unknown configuration key processAgent.readytimeOut. Did you mean processAgent.readyTimeout?',
    );
    expect(refusal({ gruop: 'a' }).message).toContain('Did you mean processAgent.group?');
    expect(refusal({ grp: 'a' }).message).toContain('Did you mean processAgent.group?');
    expect(refusal({ sockets: 1 }).message).toContain('Known keys: group, runtimeDir, candidate,');
  });

  it.each([
    ['health', { maxLag: 99 }, 'processAgent.health.maxLag is 99; it must be a whole number of milliseconds from 100'],
    ['health', { maxlag: 500 }, 'Did you mean processAgent.health.maxLag?'],
    ['health', { policy: 'most' }, `processAgent.health.policy is "most"; it must be 'all', 'quorum' or a function.`],
    ['health', { group: 1 }, 'processAgent.health.group is 1; it must be true or false.'],
    ['health', { minMembers: 1.5 }, 'processAgent.health.minMembers is 1.5;'],
    ['health', false, 'processAgent.health is false; it must be an object.'],
    ['group', '', 'processAgent.group is "";'],
    ['group', 'two words', 'processAgent.group is "two words"; it must be 1 to 100 characters'],
    ['group', 'ü', 'processAgent.group'],
    ['group', 'x'.repeat(300), '(302 characters); it must be 1 to 100 characters'],
    ['group', 7, 'processAgent.group is 7;'],
    ['metrics', { timeOut: 5 }, 'Did you mean processAgent.metrics.timeout?'],
    ['metrics', { registries: [{}] }, 'processAgent.metrics.registries is an array; it must be an array of registries'],
    ['metrics', { aggregators: { a: 'total' } }, 'processAgent.metrics.aggregators is an object; it must be'],
    ['metrics', { aggregators: [] }, 'processAgent.metrics.aggregators is an array;'],
    ['metrics', { format: 'json' }, "it must be 'text' or 'openmetrics'"],
    ['metrics', { pushInterval: 1 }, 'processAgent.metrics.pushInterval is 1;'],
    ['runtimeDir', 'relative/folder', 'it must be an absolute path'],
    ['user', 2 ** 32 - 1, 'it must be a whole number from 0 to 4294967294'],
    ['runtimeDir', '/a\0b', 'it must be an absolute path'],
    ['candidate', 'yes', 'processAgent.candidate is "yes"; it must be true or false.'],
    ['readyTimeout', '25000', 'processAgent.readyTimeout is "25000";'],
    ['readyTimeout', -1, 'processAgent.readyTimeout is -1;'],
    ['readyTimeout', 2 ** 31, 'from 500 to 2147483647'],
    ['readyTimeout', 0, 'processAgent.readyTimeout is 0; it must be a whole number of milliseconds from 500 to'],
    ['readyTimeout', 499, 'processAgent.readyTimeout is 499;'],
    ['stopTimeout', 1.5, 'processAgent.stopTimeout is 1.5;'],
    ['stopTimeout', Number.NaN, 'processAgent.stopTimeout is NaN;'],
    ['maxPayload', 0, 'processAgent.maxPayload is 0;'],
    ['maxPayload', 1024 ** 3 + 1, 'a whole number of bytes from 1 to 1073741824'],
    ['maxPending', null, 'processAgent.maxPending is null;'],
    ['maxPending', 10n, 'processAgent.maxPending is 10n;'],
    ['maxPendingBytes', 0, 'processAgent.maxPendingBytes is 0;'],
    ['primary', 'wait', 'processAgent.primary is "wait"; it must be an object.'],
    ['primary', { maxBlocked: 5 }, 'processAgent.primary.maxBlocked is 5; it must be a whole number of milliseconds'],
    ['primary', { onFrozen: 'die' }, `processAgent.primary.onFrozen is "die"; it must be 'wait' or 'kill'.`],
    ['primary', { maxblocked: 500 }, 'Did you mean processAgent.primary.maxBlocked?'],
    ['admin', { port: 0 }, 'processAgent.admin.port is 0; it must be a whole number from 1 to 65535.'],
    ['admin', { port: 65_536 }, 'processAgent.admin.port is 65536;'],
    ['admin', { port: '9400' }, 'processAgent.admin.port is "9400";'],
    ['admin', { port: 80.5 }, 'processAgent.admin.port is 80.5;'],
    ['admin', {}, 'processAgent.admin.port is undefined; it must be a whole number from 1 to 65535.'],
    ['admin', { host: '127.0.0.1' }, 'processAgent.admin.port is undefined;'],
    ['admin', { port: 9400, host: 'localhost' }, 'processAgent.admin.host is "localhost"; it must be an IP address of'],
    ['admin', { port: 9400, host: 'fe80::1%eth0' }, 'processAgent.admin.host is "fe80::1%eth0";'],
    ['admin', { port: 9400, hosts: 'shop' }, 'processAgent.admin.hosts is "shop"; it must be an array of host names,'],
    ['admin', { port: 9400, hosts: ['shop:9400'] }, 'processAgent.admin.hosts is an array;'],
    ['admin', { port: 9400, hots: '::1' }, 'Did you mean processAgent.admin.hosts?'],
    ['admin', 9400, 'processAgent.admin is 9400; it must be an object.'],
    ['admin', null, 'processAgent.admin is null; it must be an object.'],
    ['strictCopy', true, `processAgent.strictCopy is true; it must be 'off', 'warn' or 'error'.`],
  ])('refuses %s: %p', (key, value, message) => {
    const err = refusal({ [key]: value });
    expect(err.code).toBe('ERR_AGENT_CONFIG');
    expect(err.message).toContain(message);
    expect(err.message.length).toBeLessThan(250);
  });

  it.each([[null], ['group'], [[]], [true]])('refuses %p in place of an object', raw => {
    expect(refusal(raw).message).toMatch(/^processAgent is .*; it must be an object\.$/);
  });

  it('does not take a name of Object.prototype for a key', () => {
    expect(refusal(JSON.parse('{"__proto__": 1}')).message).toContain('processAgent.__proto__');
    expect(refusal({ constructor: 1 }).message).toContain('processAgent.constructor');
  });
});
