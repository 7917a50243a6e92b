import { threadId } from 'node:worker_threads';

/** In every answer: the process and thread that gave it. */
export const here = { pid: process.pid, threadId };
