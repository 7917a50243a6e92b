/**
 * The names of the container's classes between processes, for `inAll()`, and what of them may be called from outside:
 * the methods that stand on the class and its ancestors. What arrives is not trusted to name one.
 */

import { hasMark, withoutMark } from './build-mark';
import type { AnyClass } from './decorator/registry';
import { ProcessAgentError } from './errors';
import { type Names, namesOfClass, unknownMethod } from './identity';
import { MadeNames } from './made-names';
import { type ApplicationContext, type BoundClass, baseDirOf, countDefinitions, listClasses } from './midway';
import { PREFIX } from './prefix';

type Entry = Names & { bound: BoundClass };

export class ClassNames {
  readonly #container: ApplicationContext;
  #made: MadeNames | undefined;
  #counted = -1;
  #entries: Entry[] = [];

  constructor(container: ApplicationContext) {
    this.#container = container;
  }

  /** Which names a minifier made, as they are when the application starts. */
  read(made: MadeNames): void {
    this.#made = made;
  }

  /** The name of a class's method. Throws `ERR_AGENT_UNKNOWN_METHOD` if the container does not know the class. */
  nameOf(cls: AnyClass, key: string): string {
    const find = () => this.#entries.find(each => each.bound.cls === cls);
    const entry = find() ?? (this.#rebuild() ? find() : undefined);
    if (!entry) {
      throw new ProcessAgentError(
        'ERR_AGENT_UNKNOWN_METHOD',
        `inAll(${cls.name}): the application's container does not know the class. Put @Provide() on it and have it ` +
          'loaded, or bind it.',
        { outcome: 'not-sent' },
      );
    }
    const namesakes = this.#entries.filter(each => each.bare === entry.bare);
    const name = namesakes.length > 1 ? entry.qualified : entry.bare;
    if (namesakes.filter(each => each.qualified === name).length > 1) {
      throw ambiguous(name, namesakes);
    }
    return `${PREFIX.inAll}${name}.${key}`;
  }

  /** What `name`, as it has arrived, means here. */
  resolve(name: string): { bound: BoundClass; key: string } {
    const dot = name.lastIndexOf('.');
    const [className, key] = [name.slice(PREFIX.inAll.length, dot), name.slice(dot + 1)];
    const found = this.#find(className) ?? (this.#rebuild() ? this.#find(className) : undefined);
    if (dot < 0 || !found || !callableMethods(found.bound.cls).has(key)) {
      const isOtherBuild =
        !found && (hasMark(name) || this.#entries.some(each => withoutMark(each.bare) === className));
      throw unknownMethod(name, isOtherBuild ? "@Provide('id') on the class" : undefined);
    }
    return { bound: found.bound, key };
  }

  #find(name: string): Entry | undefined {
    const ways: ((each: Entry) => boolean)[] = [
      each => each.qualified === name,
      each => each.bare === name,
      // The caller tells classes apart by path, and here are no paths (a bundle).
      each => each.qualified === each.bare && name.startsWith(`${each.bare}@`),
    ];
    for (const way of ways) {
      const found = this.#entries.filter(way);
      if (found.length > 1) {
        throw ambiguous(name, found);
      }
      if (found.length === 1) {
        return found[0];
      }
    }
    return undefined;
  }

  #rebuild(): boolean {
    if (countDefinitions(this.#container) === this.#counted) {
      return false;
    }
    this.#counted = countDefinitions(this.#container);
    const baseDir = baseDirOf(this.#container);
    const seen = new Set<AnyClass>();
    const classes = listClasses(this.#container);
    this.#made ??= new MadeNames(classes);
    this.#entries = [];
    for (const bound of classes) {
      if (!seen.has(bound.cls)) {
        seen.add(bound.cls);
        this.#entries.push({ bound, ...namesOfClass(bound, baseDir, this.#made, 'classes') });
      }
    }
    return true;
  }
}

/** The methods that `cls` declares or inherits; not those of every object. */
export function callableMethods(cls: AnyClass): Set<string> {
  const methods = new Set<string>();
  for (let proto = cls.prototype; proto; ) {
    const above = Object.getPrototypeOf(proto);
    if (above === null && proto !== cls.prototype) {
      // Object.prototype, of whichever realm.
      break;
    }
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(proto))) {
      // A dot ends the class's name between processes; `then` would make a promise of what has it.
      if (typeof value === 'function' && key !== 'constructor' && key !== 'then' && !key.includes('.')) {
        methods.add(key);
      }
    }
    proto = above;
  }
  return methods;
}

function ambiguous(name: string, entries: Entry[]): ProcessAgentError {
  const files = entries.map(
    ({ bound }) => `${bound.cls.name} (${bound.srcPath ?? 'bound by hand, source file unknown'})`,
  );
  return new ProcessAgentError(
    'ERR_AGENT_AMBIGUOUS',
    `inAll(): '${name}' means ${files.join(' and ')}. Tell them apart: @Provide('id') on the class.`,
    { outcome: 'not-sent' },
  );
}
