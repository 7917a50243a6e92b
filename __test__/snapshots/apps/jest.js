/** Jest with worker threads needs two test files to start its pool. */
const { spawnSync } = require('node:child_process');
const path = require('node:path');

const jest = path.join(process.env.REPOSITORY, 'node_modules/jest/bin/jest.js');
const config = { rootDir: path.join(__dirname, 'jest'), testMatch: ['**/*.case.js'], transform: {} };
const args = [jest, '--config', JSON.stringify(config), '--no-cache', '--workerThreads', '--maxWorkers=2'];
process.exitCode = spawnSync(process.execPath, args, { cwd: config.rootDir, stdio: 'inherit' }).status;
