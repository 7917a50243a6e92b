// This package: a worker calls the primary through the decorator, in a Midway application.
const { applicationPeer } = require('../application');

module.exports = { name: 'this package', project: 'benchmark', ...applicationPeer };
