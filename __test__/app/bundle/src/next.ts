import { Job } from './later/job';
import { start } from './start';

start({ Job } as never);
