import { Customer } from './customer';
import { Job, NightJob } from './job';
import { start } from './start';
import { User } from './user';

start({ User, Customer, Job, NightJob } as never);
