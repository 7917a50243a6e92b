/**
 * Class names that a minifier made. Such a name stands for another class in the next build, so it does not tell which
 * method is meant unless both processes run the same build: it goes between processes with the mark of its build behind it,
 * and another build does not know it. Names that people gave are the same in all builds, and go as they are.
 *
 * The mark is made of what the classes with such names are: their names, their text, that of their ancestors and of what
 * is injected into them. The same sources built twice give the same mark: no path, identifier or time is in it. It is made
 * once, at the start: classes that are bound later come at other moments in other processes, so each has a mark of its own.
 */
import { MARK_LENGTH, marked } from './build-mark';
import { type AnyClass, methodsOf } from './decorator/registry';
import type { BoundClass } from './midway';
import { RESERVED } from './prefix';

/** A longer name is one that somebody gave: three characters are enough for more than 200,000 names. */
const LONGEST_MADE = 3;

/** What the mark covers: the classes of decorated methods, or all, which `inAll()` can reach. */
export type Scope = 'methods' | 'classes';

export class MadeNames {
  readonly #namesAreKept: boolean;
  readonly #byIdentifier: ReadonlyMap<string, AnyClass>;
  /** The classes that a mark is made of. */
  readonly #covered = new Set<AnyClass>();
  readonly #marks: Readonly<Record<Scope, string>>;

  /** `classes`: those that the application has when it starts. */
  constructor(classes: readonly BoundClass[]) {
    const oneLine = classes.filter(({ cls }) => isOneLine(cls) && hasMethods(cls));
    const long = oneLine.filter(({ cls }) => cls.name.length > LONGEST_MADE);
    this.#namesAreKept = long.length * 2 >= oneLine.length;
    this.#byIdentifier = new Map(classes.map(each => [each.identifier, each.cls]));
    const made = classes.filter(each => !hasGivenId(each) && this.has(each.cls));
    for (const { cls } of made) {
      this.#covered.add(cls);
    }
    this.#marks = {
      classes: this.#markOf(made),
      methods: this.#markOf(made.filter(({ cls }) => methodsOf(cls).size > 0)),
    };
  }

  /**
   * Whether a minifier made the class's name. People's class names begin with a capital letter; a short one that does is a
   * minifier's if the class's text has no line breaks, unless most such texts have longer names.
   */
  has(cls: AnyClass): boolean {
    const { name } = cls;
    return name.length <= LONGEST_MADE && (!/^[A-Z]/.test(name) || (isOneLine(cls) && !this.#namesAreKept));
  }

  /** What stands behind the name of the class between processes. */
  suffixOf(bound: BoundClass, scope: Scope): string {
    if (!this.has(bound.cls)) {
      return '';
    }
    const mark = this.#marks[scope];
    return marked(this.#covered.has(bound.cls) ? mark : this.#markOf([bound], mark));
  }

  #markOf(classes: readonly BoundClass[], salt = ''): string {
    if (classes.length === 0) {
      return '0'.repeat(MARK_LENGTH);
    }
    const described = classes.map(each => JSON.stringify([each.namespace, ...describe(each, this.#byIdentifier)]));
    // Only now: most applications have no such names.
    const { createHash } = require('node:crypto') as typeof import('node:crypto');
    return createHash('sha256')
      .update(`${salt}\n${[...new Set(described)].sort().join('\n')}`)
      .digest('hex')
      .slice(0, MARK_LENGTH);
  }
}

/** Whether its name between processes is one that somebody gave. */
function hasGivenId({ provideId }: BoundClass): boolean {
  return provideId !== undefined && !RESERVED.test(provideId);
}

function describe({ cls, injected }: BoundClass, byIdentifier: ReadonlyMap<string, AnyClass>): unknown[] {
  // What is injected tells classes of one text apart: `class { async add(e) { return this.store.add(e); } }`.
  const dependencies = injected.map(({ property, identifier, isClass }) => {
    const bound = typeof identifier === 'function' ? identifier : byIdentifier.get(String(identifier));
    // The identifier of a class is random in each process.
    return [property, bound ? textsOf(bound as AnyClass) : isClass ? '' : String(identifier)];
  });
  return [cls.name, textsOf(cls), dependencies];
}

/** The texts of a class and its ancestors. */
function textsOf(cls: AnyClass): string[] {
  const texts: string[] = [];
  for (let each: unknown = cls; typeof each === 'function' && each !== Function.prototype; ) {
    texts.push(textOf(each as AnyClass));
    each = Object.getPrototypeOf(each);
  }
  return texts;
}

function textOf(cls: AnyClass): string {
  return Function.prototype.toString.call(cls);
}

/** As minifiers write, and people and compilers do not, unless the class has nothing in it. */
function isOneLine(cls: AnyClass): boolean {
  return !textOf(cls).includes('\n');
}

function hasMethods(cls: AnyClass): boolean {
  return Object.getOwnPropertyNames(cls.prototype).length > 1;
}
