// `require` as a module in the peer's project would: the project's folder is the working directory of its processes.
const { createRequire } = require('node:module');
const path = require('node:path');

module.exports = createRequire(path.join(process.cwd(), 'package.json'));
