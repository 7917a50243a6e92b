/**
 * The one file that knows Midway's containers, and where versions 3 and 4 differ: `registry`, definitions and request
 * containers are the same in both though they are not public; provider ids moved, with a legacy export that stays.
 */
import {
  getProviderId,
  type IMidwayApplication,
  listModule,
  MidwayConfigService,
  MidwayEnvironmentService,
  MidwayFrameworkService,
  MidwayHealthService,
  MidwayInformationService,
  MidwayLifeCycleService,
  MidwayLoggerService,
  MidwayRequestContainer,
  resetModule,
  saveModule,
} from '@midwayjs/core';
import type { AnyClass } from './decorator/registry';
import type { EngineLogger } from './engine/engine';

/** The application's container, which is what "an application" is to this package. Each version has its own name for the type. */
export type ApplicationContext = ReturnType<IMidwayApplication['getApplicationContext']>;

/** A class that the container knows. */
export interface BoundClass {
  cls: AnyClass;
  /** The container's own identifier: random per process. */
  identifier: string;
  /** The id given to `@Provide('id')`, if any. */
  provideId: string | undefined;
  /** The component's namespace; '' in the application itself. */
  namespace: string;
  /** The file that it was found in, if it was found by scanning. */
  srcPath: string | undefined;
  singleton: boolean;
  /** What the container puts into its properties. */
  injected: readonly Injected[];
  /** Methods that the container calls when it makes an object, or ends one: `@Init()` and `@Destroy()`. */
  lifecycle: readonly (string | undefined)[];
}

/** One property that the container fills. */
export interface Injected {
  property: string;
  /** An id that somebody gave, the container's own identifier of a class, or a class. */
  identifier: unknown;
  /** The identifier is the container's own: random per process. */
  isClass: boolean;
}

/** Version 3 has the identifier as `name`. */
interface Reference {
  id?: unknown;
  name?: unknown;
  injectMode?: string;
}

interface Definition {
  id: string;
  path: unknown;
  namespace: string | undefined;
  srcPath: string | null | undefined;
  initMethod?: string;
  destroyMethod?: string;
  properties?: ReadonlyMap<string, Reference>;
  isSingletonScope(): boolean;
}

interface Registry {
  readonly identifiers: string[];
  getDefinition(identifier: string): Definition | undefined;
}

/** The namespace that Midway gives to the application itself. */
const MAIN_NAMESPACE = '__main__';

function registryOf(container: ApplicationContext): Registry {
  return (container as unknown as { registry: Registry }).registry;
}

/** How many definitions there are: changes when a class was bound since. */
export function countDefinitions(container: ApplicationContext): number {
  return registryOf(container).identifiers.length;
}

export function listClasses(container: ApplicationContext): BoundClass[] {
  const registry = registryOf(container);
  const classes: BoundClass[] = [];
  for (const identifier of registry.identifiers) {
    const definition = registry.getDefinition(identifier);
    if (typeof definition?.path !== 'function' || !definition.path.prototype) {
      continue;
    }
    const cls = definition.path as AnyClass;
    classes.push({
      cls,
      identifier,
      provideId: getProviderId(cls) || undefined,
      namespace: definition.namespace === MAIN_NAMESPACE ? '' : (definition.namespace ?? ''),
      srcPath: definition.srcPath ?? undefined,
      singleton: definition.isSingletonScope(),
      injected: injectedInto(definition),
      lifecycle: [definition.initMethod, definition.destroyMethod],
    });
  }
  return classes;
}

function injectedInto({ properties }: Definition): Injected[] {
  return [...(properties ?? [])].map(([property, { id, name, injectMode }]) => ({
    property,
    identifier: id ?? name,
    isClass: injectMode === 'Class',
  }));
}

/** Whether a component of that namespace is imported. */
export function hasNamespace(container: ApplicationContext, namespace: string): boolean {
  return container.hasNamespace(namespace);
}

/** Takes a class out of the list that its decorator has put it in. Version 3 has a list for each container. */
export function forgetModule(container: ApplicationContext, key: string, cls: AnyClass): void {
  const others = listModule(key).filter(each => each !== cls);
  resetModule(key);
  (container as { moduleMap?: Map<unknown, Set<unknown>> }).moduleMap?.get(key)?.delete(cls);
  for (const each of others) {
    saveModule(key, each);
  }
}

/** Calls `listener` with every object that the container, or a request container of it, makes from now on. */
export function onObjectCreated(container: ApplicationContext, listener: (instance: object) => void): void {
  container.onObjectCreated(instance => {
    if (typeof instance === 'object' && instance !== null) {
      listener(instance);
    }
  });
}

/** The object to run a call on: the singleton, or a new one in a request context of its own. */
export function instanceOf(container: ApplicationContext, bound: BoundClass): Promise<object> {
  if (bound.singleton) {
    return container.getAsync(bound.identifier);
  }
  const app = container.get(MidwayFrameworkService).getMainApp() as
    | { createAnonymousContext?(): { requestContext: Pick<ApplicationContext, 'getAsync'> } }
    | undefined;
  // An application of components alone has no framework that could make a context.
  const requests = app?.createAnonymousContext
    ? app.createAnonymousContext().requestContext
    : new MidwayRequestContainer({} as never, container);
  return requests.getAsync(bound.identifier);
}

/** The folder of the application's sources: `src` or `dist`. */
export function baseDirOf(container: ApplicationContext): string {
  return container.get(MidwayInformationService).getBaseDir();
}

/** What the user wrote under `processAgent`. */
export function configurationOf(container: ApplicationContext): unknown {
  return container.get(MidwayConfigService).getConfiguration('processAgent');
}

/** Whether Midway's environment is one of developers: `local`, `test` or `unittest`. */
export function isDevelopment(container: ApplicationContext): boolean {
  return container.get(MidwayEnvironmentService).isDevelopmentEnvironment();
}

/**
 * `processAgent.group` of an application that is being started in this process but hasn't come to this component yet.
 */
export function groupOfStartingApplication(): string | false | undefined {
  const container = (globalThis as { MIDWAY_APPLICATION_CONTEXT?: ApplicationContext }).MIDWAY_APPLICATION_CONTEXT;
  try {
    const raw = container && (configurationOf(container) as { group?: unknown } | undefined);
    return typeof raw?.group === 'string' || raw?.group === false ? raw.group : undefined;
  } catch {
    return undefined;
  }
}

/** A logger of @midwayjs/logger, which writes to transports. */
interface TransportLogger {
  get(name: string): { options?: object } | undefined;
  add(name: string, options: object): void;
}

/** Midway's own loggers: the application's, and the framework's. */
const MIDWAYS_LOGGERS = ['appLogger', 'coreLogger'];

/**
 * Gives the agent's log the console of Midway's own logs, if one of them has it and nothing was said of the agent's. What
 * `midwayLogger.default` says holds for all loggers already; this is for an application that configures them one by one.
 */
function showOnConsole(container: ApplicationContext, logger: EngineLogger): void {
  const own = transportsOf(logger);
  if (!own || own.get('console')) {
    return;
  }
  const said = container
    .get(MidwayConfigService)
    .getConfiguration('midwayLogger.clients.processAgentLogger.transports');
  const loggers = container.get(MidwayLoggerService);
  const shown = MIDWAYS_LOGGERS.map(name => transportsOf(loggers.getLogger(name))?.get('console')).find(each => each);
  if (shown && said?.console === undefined) {
    own.add('console', { ...shown.options });
  }
}

/** `undefined` of a logger that another factory has made. */
function transportsOf(logger: unknown): TransportLogger | undefined {
  const { get, add } = (logger ?? {}) as Partial<TransportLogger>;
  return typeof get === 'function' && typeof add === 'function' ? (logger as TransportLogger) : undefined;
}

/**
 * Gives the application's logger for the agent. Looked up at the first line: the log file is made when there is something to
 * write. Throws where Midway can't make it, in a folder that is not writable, for one.
 */
export function loggerOf(container: ApplicationContext): () => EngineLogger {
  let logger: EngineLogger | undefined;
  return () => {
    if (!logger) {
      const loggers = container.get(MidwayLoggerService);
      logger = (loggers.getLogger('processAgentLogger') ?? loggers.getLogger('coreLogger') ?? console) as EngineLogger;
      showOnConsole(container, logger);
    }
    return logger;
  };
}

const WATCHED = Symbol.for('@midwayjs/process-agent:watches-start');

/** Puts `around` around a service's `init()`: once, however many copies of this package there are. */
function aroundInit<T extends object>(
  service: { prototype: T },
  around: (init: () => Promise<void>, self: T) => Promise<void>,
) {
  const prototype = service.prototype as unknown as { init: (() => Promise<void>) & { [WATCHED]?: true } };
  const { init } = prototype;
  if (typeof init !== 'function' || init[WATCHED]) {
    return;
  }
  // Async: Midway waits for no other.
  prototype.init = async function (this: typeof prototype) {
    await around(() => init.call(this), this as unknown as T);
  };
  prototype.init[WATCHED] = true;
}

/**
 * Calls `listener` when an application's start-up fails after this component has started: Midway has no hook for it,
 * stops nothing, and a process that goes on (a test runner) would keep the membership of an application that never
 * lived.
 */
export function onStartFailure(listener: (container: ApplicationContext) => Promise<void>): void {
  aroundInit(MidwayLifeCycleService, async (init, self) => {
    try {
      await init();
    } catch (err) {
      await listener((self as unknown as { applicationContext: ApplicationContext }).applicationContext);
      throw err;
    }
  });
}

/**
 * Calls `listener` when an application has been loaded and has no framework. Version 4 passes over whatever its
 * configuration file throws, and all that is heard of it then is that the framework is missing.
 */
export function onFrameworkMissing(listener: () => Promise<void>): void {
  aroundInit(MidwayFrameworkService, async (init, self) => {
    await init();
    const { getMainFramework } = self as { getMainFramework?(): unknown };
    if (getMainFramework && !getMainFramework.call(self)) {
      await listener();
    }
  });
}

/**
 * Calls `listener` when the application's servers take no connections any more, before its objects are destroyed:
 * Midway has no hook there. Requests that are still under way need those objects, of which Midway's own go first.
 */
export function beforeDestroyed(container: ApplicationContext, listener: () => Promise<void>): void {
  const { stop } = container;
  container.stop = async () => {
    await listener();
    await stop.call(container);
  };
}

/** Whether components have an `onStop`, apart from that one; what the application's own does, Midway does first. */
export function stopsComponents(container: ApplicationContext, except: string): boolean {
  const { lifecycleInstanceList } = container.get(MidwayLifeCycleService) as unknown as {
    lifecycleInstanceList: { namespace: string; instance: { onStop?: unknown } }[];
  };
  return lifecycleInstanceList.some(
    ({ namespace, instance }) =>
      namespace !== except && namespace !== MAIN_NAMESPACE && typeof instance.onStop === 'function',
  );
}

/** One `onHealthCheck` that Midway has registered. */
export interface HealthCheck {
  /** Of its configuration. */
  namespace: string;
  /** Calls it as Midway does. May throw, or return a promise. */
  run(abortController: AbortController, timeout: number): unknown;
}

/** Midway's own service for health checks, with what its types hide. */
interface HealthService {
  healthCheckTimeout: number;
  healthCheckMethods: { item: (...args: unknown[]) => unknown; meta: { namespace: string } }[];
  /** From version 4 on. */
  frameworkService?: unknown;
}

function healthServiceOf(container: ApplicationContext): HealthService {
  return container.get(MidwayHealthService) as unknown as HealthService;
}

/** How long (ms) one check may take (`core.healthCheckTimeout`). */
export function healthTimeoutOf(container: ApplicationContext): number {
  return healthServiceOf(container).healthCheckTimeout;
}

/** The same, before that service has read it. */
export function configuredHealthTimeoutOf(container: ApplicationContext): number {
  return Number(container.get(MidwayConfigService).getConfiguration('core.healthCheckTimeout')) || 1000;
}

/** The checks that are registered, except those of a namespace. */
export function healthChecksOf(container: ApplicationContext, except: string): HealthCheck[] {
  const service = healthServiceOf(container);
  const isFirst = service.frameworkService === undefined;
  return service.healthCheckMethods
    .filter(({ meta }) => meta.namespace !== except)
    .map(({ item, meta }) => ({
      namespace: meta.namespace,
      run: (abortController, timeout) =>
        isFirst ? item(container) : item(container, mainAppOf(container), { abortController, timeout }),
    }));
}

/** egg never looks for health checks; Midway's service runs one there when it is told of it. */
export function registerHealthCheck(
  container: ApplicationContext,
  namespace: string,
  item: () => Promise<{ status: boolean; reason?: string }>,
): void {
  const { healthCheckMethods } = healthServiceOf(container);
  if (!healthCheckMethods.some(({ meta }) => meta.namespace === namespace)) {
    healthCheckMethods.push({ item, meta: { namespace } });
  }
}

function mainAppOf(container: ApplicationContext): unknown {
  return container.get(MidwayFrameworkService).getMainApp();
}

/** egg never calls a component's `onStop`; it has a hook of its own. */
export function beforeEggCloses(app: unknown, listener: () => Promise<void>): void {
  const egg = app as { beforeClose?(fn: () => Promise<void>): void } | undefined;
  if (typeof egg?.beforeClose === 'function') {
    egg.beforeClose(listener);
  }
}
