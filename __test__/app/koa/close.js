// Starts the application, closes it, and then has nothing left to do: the process must end by itself.
const { BootstrapStarter } = require('@midwayjs/bootstrap');
const { once } = require('node:events');

async function main() {
  const starter = new BootstrapStarter();
  const before = open();
  await starter.configure({ appDir: __dirname }).run();
  say({ phase: 'started', ...open(), before });
  await once(process, 'message');
  await starter.stop();
  say({ phase: 'closed', ...open(), before });
  process.disconnect();
}

/** This process's threads and open files, as Linux lists them. */
function open() {
  const { readdirSync, readlinkSync } = require('node:fs');
  const files = readdirSync('/proc/self/fd').flatMap(fd => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // The descriptor of the listing itself.
    }
  });
  return { threads: readdirSync('/proc/self/task').length, files };
}

function say(what) {
  process.send(what);
}

main();
