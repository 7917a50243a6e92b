// Starts the application, closes it, and then has nothing left to do: the process must end by itself.
const { BootstrapStarter } = require('@midwayjs/bootstrap');
const { once } = require('node:events');
const { readFileSync, readdirSync, readlinkSync } = require('node:fs');
const { stat } = require('node:fs/promises');
const { setTimeout: sleep } = require('node:timers/promises');

async function main() {
  const starter = new BootstrapStarter();
  // Any application reads a file sooner or later; libuv then starts its pool of threads, which is none of ours.
  await stat(__dirname);
  const before = open();
  await starter.configure({ appDir: __dirname }).run();
  say({ phase: 'started', ...open(), before });
  await once(process, 'message');
  await starter.stop();
  // The leave has begun; so long it may take.
  await sleep(500);
  say({ phase: 'closed', ...open(), before });
  process.disconnect();
}

/** This process's threads and open files, as Linux lists them. */
function open() {
  const files = readdirSync('/proc/self/fd').flatMap(fd => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return []; // The descriptor of the listing itself.
    }
  });
  const threads = readdirSync('/proc/self/task').map(id => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim());
  return { threads, files };
}

function say(what) {
  process.send(what);
}

main();
