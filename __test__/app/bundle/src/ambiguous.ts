import { Job } from './job';
import { Job as LaterJob } from './later/job';
import { start } from './start';

start({ Job, LaterJob } as never);
