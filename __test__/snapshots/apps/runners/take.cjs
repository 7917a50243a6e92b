/** Takes the process or thread that runs a test file, and one of an application that the test starts. */
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { take } = require('../apps/probe');

const name = process.env.SNAPSHOT;
take(name);
const env = { ...process.env, SNAPSHOT: `${name}-child` };
spawnSync(process.execPath, [path.join(__dirname, '../apps/child-of-test.js')], { env, stdio: 'inherit' });
