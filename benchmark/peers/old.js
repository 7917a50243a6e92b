// The last 3.x release, in the one deployment where it works: the cluster primary boots the application too.
const { applicationPeer } = require('../application');

module.exports = { name: 'release 3.20.24', project: 'old', without: ['buffer'], ...applicationPeer };
