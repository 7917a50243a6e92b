/**
 * The names of decorated methods between processes. Container identifiers are random per process, so a name is made
 * of what is the same in every process that runs this application: the `@Provide` id or namespace and class name, and
 * where these repeat, the source path relative to the application. A class name that a minifier made has the mark of its
 * build behind it (made-names.ts).
 */
import { relative, sep } from 'node:path';
import { hasMark, withoutMark } from './build-mark';
import { type AnyClass, type DecoratedMethod, methodsOf } from './decorator/registry';
import { ProcessAgentError } from './errors';
import { MadeNames, type Scope } from './made-names';
import { type ApplicationContext, type BoundClass, baseDirOf, countDefinitions, listClasses } from './midway';
import { PREFIX, RESERVED, readable } from './prefix';

/** What a call from another process runs: this method, as written, on an object of that class. */
export interface CallTarget {
  bound: BoundClass;
  method: DecoratedMethod;
}

/** One thing that is called by a name, from other processes. */
export interface Names {
  /** The name that is enough as long as no other class has it. */
  bare: string;
  /** With the source path, or what else tells the class apart; the same as `bare` where there is nothing. */
  qualified: string;
}

type Entry = CallTarget & Names;

/** Under which id Midway's container has the context of a request. */
const CONTEXT = 'ctx';

export class WireNames {
  readonly #container: ApplicationContext;
  readonly #made: MadeNames;
  #counted = -1;
  #entries: Entry[] = [];
  #byClass = new Map<AnyClass, Map<DecoratedMethod, string>>();
  /** What was asked for last. */
  #last: { cls: AnyClass; method: DecoratedMethod; name: string } | undefined;
  #byName = new Map<string, Entry[]>();
  #byBareName = new Map<string, Entry[]>();

  /** Throws `ERR_AGENT_AMBIGUOUS` when two classes can't be told apart. */
  constructor(container: ApplicationContext, made = new MadeNames(listClasses(container))) {
    this.#container = container;
    this.#made = made;
    this.#build();
    for (const [name, [first, second]] of this.#byName) {
      if (second) {
        throw new ProcessAgentError(
          'ERR_AGENT_AMBIGUOUS',
          `${describe(first)} and ${describe(second)} have the same name between processes, '${readable(name)}'. ` +
            "Give one of them another: @RunInPrimary({ name }) on the method, or @Provide('id') on the class.",
        );
      }
    }
  }

  /** Every decorated method of the application, each once. */
  methods(): DecoratedMethod[] {
    return [...new Set(this.#entries.map(each => each.method))];
  }

  /** Those whose names a minifier made, as `class.method`. */
  madeByMinifier(): string[] {
    const names = [...this.#byName.keys()].filter(hasMark);
    return [...new Set(names.map(name => readable(name).replace(/\^\d+$/, '')))];
  }

  /** The classes of request scope with such methods that have the request's context injected. */
  withContext(): string[] {
    const classes = this.#entries
      .map(({ bound }) => bound)
      .filter(({ singleton, injected }) => !singleton && injected.some(each => each.identifier === CONTEXT));
    return [...new Set(classes.map(({ cls }) => cls.name))];
  }

  /** Those that the container calls by itself. */
  lifecycleMethods(): Set<DecoratedMethod> {
    const own = this.#entries.filter(({ bound, method }) => bound.lifecycle.includes(method.key));
    return new Set(own.map(each => each.method));
  }

  /** The name under which `method` of an object of `cls` is called. */
  nameOf(cls: AnyClass, method: DecoratedMethod): string {
    if (this.#last?.method === method && this.#last.cls === cls) {
      return this.#last.name;
    }
    const find = () => this.#byClass.get(cls)?.get(method);
    const name = find() ?? (this.#rebuild() ? find() : undefined);
    if (name === undefined) {
      throw new ProcessAgentError(
        'ERR_AGENT_UNKNOWN_METHOD',
        `${cls.name}.${method.key} can't be called in another process: the application's container does not know the ` +
          `class ${cls.name}. Put @Provide() on it and have it loaded, or bind it.`,
        { outcome: 'not-sent' },
      );
    }
    if ((this.#byName.get(name)?.length ?? 0) > 1) {
      throw ambiguous(name, this.#byName.get(name) as Entry[]);
    }
    this.#last = { cls, method, name };
    return name;
  }

  /** What `name`, sent by another process, means here. */
  resolve(name: string): CallTarget {
    const found = this.#find(name) ?? (this.#rebuild() ? this.#find(name) : undefined);
    if (!found) {
      const isOtherBuild = hasMark(name) || this.#entries.some(each => withoutMark(each.bare) === name);
      throw unknownMethod(
        name,
        isOtherBuild ? "@RunInPrimary({ name }) on the method, or @Provide('id') on the class" : undefined,
      );
    }
    return found;
  }

  #find(name: string): CallTarget | undefined {
    const exact = this.#byName.get(name) ?? [];
    if (exact.length > 0) {
      return unique(name, exact);
    }
    // The caller had one class of this name and this process has several, or the other way round.
    const bare = this.#byBareName.get(name) ?? [];
    if (bare.length > 0) {
      return unique(name, bare);
    }
    const others = qualifiedAs(name, this.#entries);
    return others.length > 0 ? unique(name, others) : undefined;
  }

  #rebuild(): boolean {
    // An unknown name must not cost a walk through the container each time.
    if (countDefinitions(this.#container) === this.#counted) {
      return false;
    }
    this.#build();
    return true;
  }

  #build(): void {
    this.#counted = countDefinitions(this.#container);
    const baseDir = baseDirOf(this.#container);
    this.#entries = [];
    this.#byClass = new Map();
    this.#last = undefined;
    this.#byName = new Map();
    const seen = new Set<AnyClass>();
    for (const bound of listClasses(this.#container)) {
      if (!seen.has(bound.cls)) {
        seen.add(bound.cls);
        this.#entries.push(...entriesOf(bound, baseDir, this.#made));
      }
    }
    this.#byBareName = groupBy(this.#entries, each => each.bare);
    for (const entry of this.#entries) {
      const alone = this.#byBareName.get(entry.bare)?.length === 1;
      const name = alone ? entry.bare : entry.qualified;
      const names = this.#byClass.get(entry.bound.cls) ?? new Map<DecoratedMethod, string>();
      this.#byClass.set(entry.bound.cls, names.set(entry.method, name));
      append(this.#byName, name, entry);
    }
  }
}

function entriesOf(bound: BoundClass, baseDir: string, made: MadeNames): Entry[] {
  const entries: Entry[] = [];
  const cls = namesOfClass(bound, baseDir, made, 'methods');
  for (const [key, [method, ...overridden]] of methodsOf(bound.cls)) {
    const given = method.options.name;
    const bare = given ?? `${cls.bare}.${key}`;
    // A given name repeats when two classes inherit the method: then the class tells them apart.
    const qualified = given ? `${given}@${cls.path ? `${cls.path}:` : ''}${cls.name}` : `${cls.qualified}.${key}`;
    const add = (each: DecoratedMethod, depth: string) => {
      const prefix = each.kind === 'all' ? PREFIX.all : '';
      entries.push({ bound, method: each, bare: prefix + bare + depth, qualified: prefix + qualified + depth });
    };
    add(method, '');
    // Reached by `super.method()` from a method that isn't decorated itself.
    overridden.forEach((each, index) => {
      add(each, `^${index + 1}`);
    });
  }
  return entries;
}

/**
 * The error for a name that means nothing here. `remedy`: the name is one that a minifier made, in another build; what gives
 * the method one that stays.
 */
export function unknownMethod(name: string, remedy: string | undefined): ProcessAgentError {
  const what = `Pid ${process.pid} knows no method '${readable(name)}'`;
  return new ProcessAgentError(
    'ERR_AGENT_UNKNOWN_METHOD',
    remedy
      ? `${what} of the caller's build: a minifier made this class name, which may mean another class in the build that runs ` +
          `here. To call it between builds, give it a name that stays: ${remedy}.`
      : `${what}. It may run another version of the application, or may not have loaded the class.`,
    { outcome: 'not-sent' },
  );
}

/** The names of a class, and what they are made of. */
export function namesOfClass(
  bound: BoundClass,
  baseDir: string,
  made: MadeNames,
  scope: Scope,
): Names & { name: string; path: string | undefined } {
  // A class or namespace may be called as what is no class is: the class of '#private = class {}', for one.
  const given = `${bound.namespace ? `${bound.namespace}:` : ''}${bound.cls.name}`.replace(RESERVED, '_$&');
  const name = given + made.suffixOf(bound, scope);
  const path = bound.srcPath && sourcePath(baseDir, bound.srcPath);
  const bare = bound.provideId === undefined || RESERVED.test(bound.provideId) ? name : bound.provideId;
  return { name, path, bare, qualified: path ? `${bare}@${path}` : bare };
}

/**
 * Which of `entries` a name means that isn't bare here: the one of that path. A caller may tell classes apart by path
 * where here are no paths (a bundle): one class of the name will do. Where the paths are known they differ, and another
 * class of that name is not the one that was meant.
 */
function qualifiedAs(name: string, entries: Entry[]): Entry[] {
  const qualified = entries.filter(each => each.qualified === name);
  return qualified.length > 0
    ? qualified
    : entries.filter(each => each.qualified === each.bare && isQualified(name, each.bare));
}

/** The same for `src/a/b.ts` under ts-node and `dist/a/b.js` after a build: the base folder is already one of them. */
function sourcePath(baseDir: string, file: string): string {
  return relative(baseDir, file)
    .split(sep)
    .join('/')
    .replace(/\.[cm]?[jt]sx?$/, '');
}

/** Whether `name` is `Name@path/to/file.method` where `bare` is `Name.method`. Paths may hold dots and '@' as well. */
function isQualified(name: string, bare: string): boolean {
  const dot = bare.lastIndexOf('.');
  return dot > 0 && name.startsWith(`${bare.slice(0, dot)}@`) && name.endsWith(bare.slice(dot));
}

function unique(name: string, entries: Entry[]): CallTarget {
  if (entries.length > 1) {
    throw ambiguous(name, entries);
  }
  return entries[0];
}

function ambiguous(name: string, entries: Entry[]): ProcessAgentError {
  return new ProcessAgentError(
    'ERR_AGENT_AMBIGUOUS',
    `'${readable(name)}' means ${entries.map(describe).join(' and ')}. ` +
      "Tell them apart: @RunInPrimary({ name }) on the method, or @Provide('id') on the class.",
    { outcome: 'not-sent' },
  );
}

function describe({ bound, method }: CallTarget): string {
  return `${bound.cls.name}.${method.key} (${bound.srcPath ?? 'bound by hand, source file unknown'})`;
}

function groupBy(entries: Entry[], key: (entry: Entry) => string): Map<string, Entry[]> {
  const groups = new Map<string, Entry[]>();
  for (const entry of entries) {
    append(groups, key(entry), entry);
  }
  return groups;
}

function append(groups: Map<string, Entry[]>, key: string, entry: Entry): void {
  const group = groups.get(key);
  if (group) {
    group.push(entry);
  } else {
    groups.set(key, [entry]);
  }
}
