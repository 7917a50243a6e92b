/** Class names that a minifier made, and what they mean between processes. */
import { Inject, MidwayContainer, MidwayInformationService, Provide } from '@midwayjs/core';
import { RunInAll, RunInPrimary } from '../ts';
import { ClassNames } from '../ts/class-names';
import { type AnyClass, methodsOf } from '../ts/decorator/registry';
import type { ProcessAgentError } from '../ts/errors';
import { WireNames } from '../ts/identity';
import { MadeNames } from '../ts/made-names';
import { listClasses } from '../ts/midway';
import { readable } from '../ts/prefix';

function containerOf(classes: AnyClass[], namespace?: string): MidwayContainer {
  const container = new MidwayContainer();
  container.registerObject('baseDir', '/srv/app/src');
  container.registerObject('appDir', '/srv/app');
  container.bindClass(MidwayInformationService);
  for (const cls of classes) {
    container.bindClass(cls, { namespace } as never);
  }
  return container;
}

interface Written {
  body?: string;
  id?: string;
  named?: string;
  extending?: AnyClass;
  injected?: string | AnyClass;
  oneLine?: boolean;
}

/** A class as a minifier, or a person, writes it; its method `add` is decorated. */
function write(
  name: string,
  { body = 'return 1', id, named, extending, injected, oneLine = true }: Written = {},
): AnyClass {
  const line = oneLine ? '' : '\n';
  const text = `class ${extending ? 'extends base' : ''}{${line}async add(e){${body}}${line}what(){}${line}}`;
  const cls = new Function('base', `return { ${JSON.stringify(name)}: ${text} }[${JSON.stringify(name)}]`)(extending);
  const property = Object.getOwnPropertyDescriptor(cls.prototype, 'add') as PropertyDescriptor;
  RunInPrimary(named ? { name: named } : {})(cls.prototype, 'add', property);
  Object.defineProperty(cls.prototype, 'add', property);
  if (injected) {
    if (typeof injected === 'function') {
      Reflect.defineMetadata('design:type', injected, cls.prototype, 'store');
    }
    (Inject(typeof injected === 'string' ? injected : undefined) as PropertyDecorator)(cls.prototype, 'store');
  }
  Provide(id as string)(cls);
  return cls;
}

/** One build of an application. */
class Build {
  readonly names: WireNames;
  readonly classes: ClassNames;

  constructor(
    readonly all: AnyClass[],
    namespace?: string,
    readonly container = containerOf(all, namespace),
  ) {
    const made = new MadeNames(listClasses(this.container));
    this.names = new WireNames(this.container, made);
    this.classes = new ClassNames(this.container);
    this.classes.read(made);
  }

  nameOf(cls: AnyClass): string {
    return this.names.nameOf(cls, (methodsOf(cls).get('add') ?? [])[0]);
  }

  inAll(cls: AnyClass): string {
    return this.classes.nameOf(cls, 'what');
  }

  /** The class that a call of another build runs here. */
  resolve(name: string): AnyClass | string {
    return attempt(() => (name.startsWith('&') ? this.classes.resolve(name) : this.names.resolve(name)).bound.cls);
  }
}

function attempt<T>(action: () => T): T | string {
  try {
    return action();
  } catch (error) {
    const { code, outcome } = error as ProcessAgentError;
    return `${code} ${outcome}`;
  }
}

const UNKNOWN = 'ERR_AGENT_UNKNOWN_METHOD not-sent';
const order = (name: string, more: Written = {}) => write(name, { body: 'return "order"', ...more });
const user = (name: string, more: Written = {}) => write(name, { body: 'return "user"', ...more });

describe('a method whose class has a name that a minifier made', () => {
  it('has another name in each build, and nothing else is run for it', () => {
    const [first, second] = [new Build([order('e'), user('t')]), new Build([order('t'), user('n'), write('e')])];
    for (const [from, to] of [
      [first, second],
      [second, first],
    ]) {
      for (const cls of from.all) {
        expect([cls.name, to.resolve(from.nameOf(cls))]).toEqual([cls.name, UNKNOWN]);
        expect([cls.name, to.resolve(from.inAll(cls))]).toEqual([cls.name, UNKNOWN]);
      }
    }
  });

  it('has the same in a build of the same sources, in whatever order its classes come', () => {
    const first = new Build([order('e'), user('t')]);
    const second = new Build([user('t'), order('e')]);
    for (const [index, cls] of first.all.entries()) {
      expect(second.resolve(first.nameOf(cls))).toBe(second.all[1 - index]);
      expect(second.resolve(first.inAll(cls))).toBe(second.all[1 - index]);
    }
  });

  it('has another when two classes have changed places that differ in what is injected alone', () => {
    const stores = [write('OrderStore', { body: 'return 2' }), write('UserStore', { body: 'return 3' })];
    const twins = (injected: [string | AnyClass, string | AnyClass]) =>
      new Build([write('e', { injected: injected[0] }), write('t', { injected: injected[1] }), ...stores]);
    for (const [one, other] of [
      ['orderStore', 'userStore'],
      [stores[0], stores[1]],
    ]) {
      const [first, second] = [twins([one, other]), twins([other, one])];
      expect(second.resolve(first.nameOf(first.all[0]))).toBe(UNKNOWN);
      expect(twins([one, other]).resolve(first.nameOf(first.all[0]))).not.toBe(UNKNOWN);
    }
  });

  it('has another when an ancestor of its class has changed', () => {
    const below = (body: string) => {
      const base = write('a', { body });
      return new Build([base, write('e', { extending: base, body: 'return 5' })]);
    };
    const [first, second] = [below('return 1'), below('return 2')];
    expect(second.resolve(first.nameOf(first.all[1]))).toBe(UNKNOWN);
  });

  it('is not found by the name that an older version of this package sends', () => {
    const build = new Build([order('e'), user('t')]);
    expect(build.resolve('e.add')).toBe(UNKNOWN);
    expect(build.resolve('&e.what')).toBe(UNKNOWN);
    expect(() => build.names.resolve('e.add')).toThrow(
      /knows no method 'e\.add' of the caller's build: a minifier made/,
    );
    expect(() => build.classes.resolve('&e.what')).toThrow(
      /'e\.what' of the caller's build.*: @Provide\('id'\) on the class\.$/,
    );
  });

  it('is found by an explicit name, also where that name repeats', () => {
    const [first, second] = [
      new Build([order('e', { named: 'orders.add' }), user('t', { id: 'users' }), write('n')]),
      new Build([user('e', { id: 'users' }), order('t', { named: 'orders.add' }), write('s')]),
    ];
    expect(second.resolve(first.nameOf(first.all[0]))).toBe(second.all[1]);
    expect(second.resolve(first.nameOf(first.all[1]))).toBe(second.all[0]);
    expect(second.resolve(first.inAll(first.all[1]))).toBe(second.all[0]);
    expect(first.names.madeByMinifier()).toEqual(['n.add']);
  });

  it('is called in messages by the name that stands in the source', () => {
    const build = new Build([order('e')]);
    expect(readable(build.nameOf(build.all[0]))).toBe('e.add');
    expect(readable(build.inAll(build.all[0]))).toBe('e.what');
    expect(readable('#job~0123456789')).toBe('job~0123456789');
    expect(readable('@a/b~0123456789.add')).toBe('@a/b.add');
  });

  it('of a component keeps the namespace', () => {
    const build = new Build([order('e')], 'billing');
    expect(build.nameOf(build.all[0])).toMatch(/^billing:e~[0-9a-f]{10}\.add$/);
  });

  it('has the same in all processes of a build, whenever the class is bound', () => {
    const [early, late, second] = [new Build([user('t')]), new Build([user('t')]), new Build([user('t')])];
    early.container.bindClass(order('e'));
    early.container.bindClass(write('n'));
    const inOne = early.nameOf(listClasses(early.container).find(({ cls }) => cls.name === 'e')?.cls as AnyClass);
    late.container.bindClass(write('n'));
    late.container.bindClass(order('e'));
    second.container.bindClass(write('e', { body: 'return "another"' }));
    expect((late.resolve(inOne) as AnyClass).name).toBe('e');
    expect(second.resolve(inOne)).toBe(UNKNOWN);
  });
});

describe('which names a minifier made', () => {
  const made = (...classes: AnyClass[]) =>
    new Build(classes).names.madeByMinifier().map(name => name.replace(/\.add$/, ''));

  it('are told once for a method and what it overrides', () => {
    const base = write('a', { named: 'orders.add' });
    expect(new Build([base, write('e', { extending: base })]).names.madeByMinifier()).toEqual(['e.add']);
  });

  it('are short and begin as no class does', () => {
    expect(made(write('e'), write('$'), write('_t'), write('aZ', { oneLine: false }), write('job2'))).toEqual([
      'e',
      '$',
      '_t',
      'aZ',
    ]);
  });

  it('or are short in a build whose classes are, and have no line breaks', () => {
    expect(made(write('Qe'), write('t'), write('Job'))).toEqual(['Qe', 't', 'Job']);
    expect(made(write('Qe'), write('Db', { oneLine: false }))).toEqual(['Qe']);
    expect(made(write('Qe'), write('Da', { extending: write('aa') }))).toContain('Qe');
  });

  it('are not those that people write: short with line breaks, or among long ones that were kept', () => {
    expect(made(write('Job', { oneLine: false }), write('A', { oneLine: false }))).toEqual([]);
    expect(made(write('Job'), write('OrderService'), write('UserService'))).toEqual([]);
    class Api {
      @RunInPrimary()
      async add() {}
      @RunInAll()
      async all() {}
    }
    expect(made(Api)).toEqual([]);
  });

  it('go between releases as they are where nobody minified', () => {
    const [first, second] = [
      new Build([order('Job', { oneLine: false })]),
      new Build([order('Job', { oneLine: false, body: 'return "changed"' }), user('New', { oneLine: false })]),
    ];
    expect(first.nameOf(first.all[0])).toBe('Job.add');
    expect(second.resolve('Job.add')).toBe(second.all[0]);
  });
});
