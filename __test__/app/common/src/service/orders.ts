import { httpError, MidwayHttpError, Provide, Scope, ScopeEnum } from '@midwayjs/core';
import { RunInPrimary, registerError } from '@midwayjs/process-agent';

/** Known in every process that loads this file. */
export class OutOfStockError extends Error {
  override name = 'OutOfStockError';

  constructor(
    readonly item: string,
    readonly left: number,
  ) {
    super(`${left} of ${item} are left`);
  }
}
registerError(OutOfStockError);

/** Registered nowhere: it arrives as the nearest class that is known. */
class TeapotError extends MidwayHttpError {
  readonly spout = 'short';

  constructor() {
    super('short and stout', 418);
  }
}

/** Fails in the primary in the ways of applications. */
@Provide()
@Scope(ScopeEnum.Singleton)
export class OrderService {
  @RunInPrimary()
  async order(item: string): Promise<number> {
    switch (item) {
      case 'unknown':
        throw new httpError.NotFoundError('no such item');
      case 'secret':
        throw new httpError.ForbiddenError('not for you');
      case 'taken':
        throw new httpError.ConflictError('already taken');
      case 'invalid':
        throw new httpError.BadRequestError('an item, please');
      case 'teapot':
        throw new TeapotError();
      case 'out':
        throw new OutOfStockError('lamps', 0);
      case 'wrapped':
        throw new Error('the order has failed', { cause: new OutOfStockError('lamps', 1) });
      default:
        return process.pid;
    }
  }
}
