const path = require('node:path');

const app = mode => ({
  name: `api-${mode}`,
  script: 'pm2-app.js',
  exec_mode: mode,
  uid: 'nobody',
  env: { SNAPSHOT: `pm2-uid-${mode}` },
  // Where that user may write. pm2 deletes these files, so they must be files of our own.
  out_file: path.join(process.env.SNAPSHOTS, `uid-${mode}.out`),
  error_file: path.join(process.env.SNAPSHOTS, `uid-${mode}.err`),
  pid_file: path.join(process.env.SNAPSHOTS, `uid-${mode}.pid`),
});
module.exports = { apps: [app('fork'), app('cluster')] };
