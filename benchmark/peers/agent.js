// This package: a worker calls the primary through the Midway component.
const { startApplication } = require('./application');

module.exports = { name: 'this package', project: 'benchmark', primary: startApplication, worker: startApplication };
