// Redis on a unix socket: ECHO, with JSON in the caller. Another process than the cluster primary answers, and runs no
// JavaScript.
const os = require('node:os');
const path = require('node:path');
const inProject = require('../in-project');
const { installRedis, startRedis } = require('../redis-server');
const { WHO } = require('../values');

const socketPath = () => path.join(os.tmpdir(), 'redis.sock');

module.exports = {
  name: 'ioredis, ECHO',
  packages: { ioredis: '5.11.1' },
  without: ['buffer'],
  install: installRedis,

  async primary() {
    const { pid } = await startRedis(socketPath());
    return { pids: [pid] };
  },

  async worker() {
    const Redis = inProject('ioredis');
    const redis = new Redis(socketPath());
    const [, pid] = /process_id:(\d+)/.exec(await redis.info('server'));
    return async value => (value === WHO ? Number(pid) : JSON.parse(await redis.echo(JSON.stringify(value))));
  },
};
