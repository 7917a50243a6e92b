// gRPC over a unix socket, with JSON as its encoding: a unary call.
const os = require('node:os');
const path = require('node:path');
const inProject = require('../in-project');
const { answer } = require('../values');

const address = () => `unix:${path.join(os.tmpdir(), 'grpc.sock')}`;
const toBytes = value => Buffer.from(JSON.stringify(value));
const fromBytes = bytes => JSON.parse(bytes);
const service = {
  echo: {
    path: '/benchmark.Echo/echo',
    requestStream: false,
    responseStream: false,
    requestSerialize: toBytes,
    requestDeserialize: fromBytes,
    responseSerialize: toBytes,
    responseDeserialize: fromBytes,
  },
};

module.exports = {
  name: '@grpc/grpc-js, JSON',
  packages: { '@grpc/grpc-js': '1.14.7' },
  without: ['buffer'],

  async primary() {
    const grpc = inProject('@grpc/grpc-js');
    const server = new grpc.Server();
    server.addService(service, { echo: ({ request }, reply) => reply(null, answer(request[0])) });
    await new Promise((resolve, reject) => {
      server.bindAsync(address(), grpc.ServerCredentials.createInsecure(), error =>
        error ? reject(error) : resolve(),
      );
    });
  },

  async worker() {
    const grpc = inProject('@grpc/grpc-js');
    const Echo = grpc.makeGenericClientConstructor(service, 'Echo');
    const client = new Echo(address(), grpc.credentials.createInsecure());
    return value =>
      new Promise((resolve, reject) => {
        client.echo([value], (error, result) => (error ? reject(error) : resolve(result)));
      });
  },
};
