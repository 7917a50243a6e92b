// The last 3.x release, in the one deployment where it works: the cluster primary boots the application too.
const { startApplication } = require('./application');

module.exports = { name: 'release 3.20.24', project: 'old', primary: startApplication, worker: startApplication };
