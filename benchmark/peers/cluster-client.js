// egg's cluster-client: the leader of a loopback port answers for the followers.
const inProject = require('../in-project');
const { answer } = require('../values');

function makeClient(isLeader) {
  const cluster = inProject('cluster-client');
  const Base = inProject('sdk-base');
  class EchoClient extends Base {
    constructor() {
      super({});
      this.ready(true);
    }

    async echo(value) {
      return answer(value);
    }
  }
  const port = Number(process.env.BENCHMARK_PORT);
  return cluster(EchoClient, { port, isLeader, responseTimeout: 60_000 }).delegate('echo').create();
}

module.exports = {
  name: 'cluster-client',
  packages: { 'cluster-client': '3.7.0', 'sdk-base': '4.2.1' },
  without: ['buffer'],

  async primary() {
    await makeClient(true).ready();
  },

  async worker() {
    const client = makeClient(false);
    await client.ready();
    return value => client.echo(value);
  },
};
