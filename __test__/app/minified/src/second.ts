// Written first, it gets the name that the other class has in the first release.
import './user';
import { start } from '../../bundle/src/start';
import { OrderService } from './order';
import { StockService } from './stock';
import { UserService } from './user';

start({ Order: OrderService, User: UserService, Stock: StockService } as never);
