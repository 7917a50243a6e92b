// Starts the benchmark's Midway application from the project folder that the process was started in.
const { createRequire } = require('node:module');
const path = require('node:path');

async function startApplication() {
  const folder = process.cwd();
  const inProject = createRequire(path.join(folder, 'package.json'));
  const { Bootstrap } = inProject('@midwayjs/bootstrap');
  const container = await Bootstrap.configure({ appDir: folder }).run();
  const { EchoService } = inProject('./dist/echo.js');
  const service = await container.getAsync(EchoService);
  return value => service.echo(value);
}

module.exports = { startApplication };
