import { MidwayContainer, MidwayInformationService, Provide } from '@midwayjs/core';
import { RunInPrimary } from '../ts';
import { type AnyClass, classOf, methodsOf } from '../ts/decorator/registry';
import type { ProcessAgentError } from '../ts/errors';
import { WireNames } from '../ts/identity';
import { closeAll, startApp } from './support/light-app';

afterEach(async () => {
  jest.restoreAllMocks();
  await closeAll();
});

const BASE = '/srv/app/src';

/** A container as a process has it: with these classes, found in these files (or bound by hand). */
function containerOf(baseDir: string, files: Record<string, AnyClass[]>, namespace?: string) {
  const container = new MidwayContainer();
  container.registerObject('baseDir', baseDir);
  container.registerObject('appDir', '/srv/app');
  container.bindClass(MidwayInformationService);
  for (const [file, classes] of Object.entries(files)) {
    for (const cls of classes) {
      container.bindClass(cls, { namespace, srcPath: file === '' ? undefined : `${baseDir}/${file}` } as never);
    }
  }
  return container;
}

function makeUser(id?: string) {
  @Provide(id as string)
  class User {
    @RunInPrimary()
    async save() {}
  }
  return User;
}

function nameOf(names: WireNames, cls: AnyClass, key: string, depth = 0): string {
  return names.nameOf(cls, (methodsOf(cls).get(key) ?? [])[depth]);
}

function refusal(action: () => unknown): ProcessAgentError {
  try {
    action();
  } catch (err) {
    return err as ProcessAgentError;
  }
  throw new Error('It was accepted.');
}

describe('the name of a method between processes', () => {
  it('is class and method, in a component with its namespace', () => {
    const User = makeUser();
    expect(nameOf(new WireNames(containerOf(BASE, { 'user.ts': [User] })), User, 'save')).toBe('User.save');
    expect(nameOf(new WireNames(containerOf(BASE, { 'user.ts': [User] }, '__main__')), User, 'save')).toBe('User.save');
    const inComponent = new WireNames(containerOf(BASE, { 'user.ts': [User] }, 'billing'));
    expect(nameOf(inComponent, User, 'save')).toBe('billing:User.save');
  });

  it('is the provider id and the method, where an id is given', () => {
    const User = makeUser('userService');
    expect(nameOf(new WireNames(containerOf(BASE, { 'user.ts': [User] })), User, 'save')).toBe('userService.save');
  });

  it('is not the provider id where that looks like the name of a handler', () => {
    const User = makeUser('#user');
    expect(nameOf(new WireNames(containerOf(BASE, { 'user.ts': [User] })), User, 'save')).toBe('User.save');
  });

  it('is never that of a handler, whatever the class is called', () => {
    const Odd = Object.defineProperty(makeUser(), 'name', { value: '#user' });
    const names = new WireNames(containerOf(BASE, { 'user.ts': [Odd] }));
    expect(nameOf(names, Odd, 'save')).toBe('_#user.save');
    expect(names.resolve('_#user.save').bound.cls).toBe(Odd);
  });

  it('is one, however often the container knows the class', () => {
    const User = makeUser();
    const container = containerOf(BASE, { '': [User] });
    container.bind('another', User);
    const names = new WireNames(container);
    expect(nameOf(names, User, 'save')).toBe('User.save');
    expect(names.resolve('User.save').bound.cls).toBe(User);
  });

  it('is refused to a class that the container does not know', () => {
    const User = makeUser();
    const err = refusal(() => nameOf(new WireNames(containerOf(BASE, {})), User, 'save'));
    expect(err).toMatchObject({ code: 'ERR_AGENT_UNKNOWN_METHOD', outcome: 'not-sent' });
    expect(err.message).toContain('container does not know the class User');
  });

  it('is refused from when a class is bound that has the same', () => {
    const [User, namesake] = [makeUser(), makeUser()];
    const container = containerOf(BASE, { '': [User] });
    const names = new WireNames(container);
    expect(nameOf(names, User, 'save')).toBe('User.save');
    container.bindClass(namesake);
    const err = refusal(() => nameOf(names, namesake, 'save'));
    expect(err).toMatchObject({ code: 'ERR_AGENT_AMBIGUOUS', outcome: 'not-sent' });
    expect(refusal(() => nameOf(names, User, 'save')).code).toBe('ERR_AGENT_AMBIGUOUS');
    expect(refusal(() => names.resolve('User.save')).code).toBe('ERR_AGENT_AMBIGUOUS');
  });

  it('is what { name } says', () => {
    @Provide()
    class User {
      @RunInPrimary({ name: 'save-user' })
      async save() {}
    }
    expect(nameOf(new WireNames(containerOf(BASE, { '': [User] })), User, 'save')).toBe('save-user');
  });

  it('has the source path where two classes share a name, the same from src as from dist', () => {
    const [Admin, Shop] = [makeUser(), makeUser()];
    const src = new WireNames(containerOf(BASE, { 'admin/user.ts': [Admin], 'shop/user.ts': [Shop] }));
    const dist = new WireNames(containerOf('/srv/app/dist', { 'admin/user.js': [Admin], 'shop/user.js': [Shop] }));
    for (const names of [src, dist]) {
      expect(nameOf(names, Admin, 'save')).toBe('User@admin/user.save');
      expect(nameOf(names, Shop, 'save')).toBe('User@shop/user.save');
      expect(names.resolve('User@shop/user.save').bound.cls).toBe(Shop);
    }
  });

  it('tells subclasses apart that inherit a method with a name', () => {
    abstract class Base {
      @RunInPrimary({ name: 'run-it' })
      async run() {}
    }
    @Provide()
    class One extends Base {}
    @Provide()
    class Two extends Base {}
    const names = new WireNames(containerOf(BASE, { 'jobs.ts': [One, Two] }));
    expect([nameOf(names, One, 'run'), nameOf(names, Two, 'run')]).toEqual(['run-it@jobs:One', 'run-it@jobs:Two']);
    expect(names.resolve('run-it@jobs:Two').bound.cls).toBe(Two);
  });

  it('tells an override from what it overrides', () => {
    @Provide()
    class Base {
      @RunInPrimary()
      async run() {}
    }
    @Provide()
    class Derived extends Base {
      @RunInPrimary()
      override async run() {}
    }
    const names = new WireNames(containerOf(BASE, { 'jobs.ts': [Base, Derived] }));
    expect(nameOf(names, Derived, 'run')).toBe('Derived.run');
    expect(nameOf(names, Derived, 'run', 1)).toBe('Derived.run^1');
    expect(names.resolve('Derived.run^1')).toMatchObject({
      bound: { cls: Derived },
      method: { owner: Base.prototype },
    });
  });
});

describe('a name that arrives', () => {
  const [Admin, Shop] = [makeUser(), makeUser()];

  it('is ambiguous without a path when two classes here share it', () => {
    const names = new WireNames(containerOf(BASE, { 'admin/user.ts': [Admin], 'shop/user.ts': [Shop] }));
    const err = refusal(() => names.resolve('User.save'));
    expect(err.code).toBe('ERR_AGENT_AMBIGUOUS');
    expect(err.outcome).toBe('not-sent');
    expect(err.message).toContain('admin/user.ts');
    expect(err.message).toContain('shop/user.ts');
  });

  it('with a path finds the class of that path, also when it is the only one of its name', () => {
    const names = new WireNames(containerOf(BASE, { 'shop/user.ts': [Shop] }));
    expect(names.resolve('User@shop/user.save').bound.cls).toBe(Shop);
    expect(refusal(() => names.resolve('User@admin/user.save')).code).toBe('ERR_AGENT_UNKNOWN_METHOD');
  });

  it('with a path finds the only class of its name where sources are bundled', () => {
    const names = new WireNames(containerOf(BASE, { '': [Shop] }));
    expect(names.resolve('User@shop/user.save').bound.cls).toBe(Shop);
    expect(names.resolve('User@../node_modules/@shop/v1.2/user.save').bound.cls).toBe(Shop);
  });

  it('is unknown when no class or method has it', () => {
    const names = new WireNames(containerOf(BASE, { 'shop/user.ts': [Shop] }));
    for (const name of ['User.remove', 'Order.save', '', 'constructor', '__proto__.save']) {
      expect(refusal(() => names.resolve(name))).toMatchObject({
        code: 'ERR_AGENT_UNKNOWN_METHOD',
        outcome: 'not-sent',
        message: expect.stringContaining(`'${name}'`),
      });
    }
  });

  it('finds a class that was bound since', () => {
    const container = containerOf(BASE, {});
    const names = new WireNames(container);
    expect(refusal(() => names.resolve('User.save')).code).toBe('ERR_AGENT_UNKNOWN_METHOD');
    container.bindClass(Shop);
    expect(names.resolve('User.save').bound.cls).toBe(Shop);
  });
});

describe('two classes that cannot be told apart', () => {
  it('fail the start, which names both and the ways out', async () => {
    jest.spyOn(console, 'error').mockImplementation(() => {});
    const start = startApp([makeUser(), makeUser()]);
    await expect(start).rejects.toMatchObject({
      code: 'ERR_AGENT_AMBIGUOUS',
      message:
        'User.save (bound by hand, source file unknown) and User.save (bound by hand, source file unknown) have the ' +
        "same name between processes, 'User.save'. Give one of them another: @RunInPrimary({ name }) on the method, " +
        "or @Provide('id') on the class.",
    });
  });

  it('do not when one of them is given another id', async () => {
    const [one, two] = [makeUser(), makeUser('other')];
    const app = await startApp([one, two]);
    await (await app.getInRequest(two)).save();
  });
});

describe('the class of an object', () => {
  it('is found through a proxy, as Midway puts in the place of circular dependencies', () => {
    const User = makeUser();
    class Admin extends User {}
    const method = (methodsOf(Admin).get('save') ?? [])[0];
    const admin = new Admin();
    const proxy = new Proxy({}, { get: (_target, key) => Reflect.get(admin, key) });
    expect(classOf(proxy, method)).toBe(Admin);
    expect(classOf(undefined, method)).toBe(User);
    expect(classOf({ constructor: Array }, method)).toBe(User);
  });
});
