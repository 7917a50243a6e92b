const http = require('node:http');
const net = require('node:net');

/** One GET on a connection of its own, so that each may land on another process. Any other answer than 200 is a failure. */
async function get(port, path, timeout = 10_000) {
  const { status, body } = await answerOf(port, path, timeout);
  if (status !== 200) {
    throw new Error(`GET ${path} answered ${status}: ${body}`);
  }
  return JSON.parse(body);
}

/** The same, and any answer will do. */
function answerOf(port, path, timeout = 10_000) {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path, agent: false, headers: { connection: 'close' }, timeout };
    const request = http.get(options, response => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', piece => {
        body += piece;
      });
      response.on('end', () => resolve({ status: response.statusCode, body }));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`GET ${path} had no answer for ${timeout} ms`)));
    request.on('error', reject);
  });
}

/** Asks again and again until the answers so far are enough; a request that fails is asked again. */
async function askUntil(app, path, enough) {
  const deadline = performance.now() + 60_000;
  const answers = [];
  let failure;
  while (!enough(answers)) {
    if (app.hasEnded()) {
      throw new Error('the application has ended');
    }
    if (performance.now() > deadline) {
      throw new Error(
        `GET ${path}: not what was expected for 60 s; ${failure?.message ?? JSON.stringify(answers.at(-1))}`,
      );
    }
    try {
      // node:cluster may hand a connection to the very process that has just died: nobody answers that one.
      answers.push(await get(app.port, path, 1_000));
    } catch (error) {
      failure = error;
      await new Promise(resolve => setTimeout(resolve, 20));
    }
  }
  return answers;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

module.exports = { answerOf, askUntil, freePort, get };
