/** egg's own master, with worker threads instead of processes. The framework here only takes the snapshot. */
import { startCluster } from '@eggjs/cluster';

const framework = new URL('./framework', import.meta.url).pathname;
await startCluster({ baseDir: new URL('.', import.meta.url).pathname, framework, startMode: 'worker_threads', workers: 1 });
