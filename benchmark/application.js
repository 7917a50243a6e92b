// Starts the benchmark's Midway application from the project folder that the process was started in.
const inProject = require('./in-project');

async function startApplication() {
  const folder = process.cwd();
  const { Bootstrap } = inProject('@midwayjs/bootstrap');
  const container = await Bootstrap.configure({ appDir: folder }).run();
  const { EchoService } = inProject('./dist/echo.js');
  return container.getAsync(EchoService);
}

/** A peer that is this application, with whichever package its project has. */
const applicationPeer = {
  hasLocal: true,

  async primary() {
    const service = await startApplication();
    return { local: { decorated: value => service.echo(value), bare: value => service.bare(value) } };
  },

  async worker() {
    const service = await startApplication();
    return value => service.echo(value);
  },
};

module.exports = { applicationPeer };
