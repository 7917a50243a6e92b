// The peers: one file each in peers/, and all that there is to adding one. A file exports
//   name                how it is called in the tables
//   packages            what is installed for it, e.g. { ioredis: '5.11.1' }; or `project`, one of scripts/projects.js
//   primary()           starts the answering side, in the cluster primary. May give back { pids, local }: processes that
//                       answer for it, and two methods of which one is decorated
//   worker()            connects, in a worker, and gives back a function from a value to a promise of the same value,
//                       which is the pid of whoever executes the call if the value is WHO (values.js)
//   env, settings       of its processes, for cluster.setupPrimary() (both optional)
//   without, only       the workloads that it can't carry, or the only ones that it can (optional)
//   install()           what is needed besides packages; throws and says what is missing (optional)
//   start()             its processes, if they are not Node's: an object as start-group.js makes them (optional)
//   isLimit             it is no way to call, but what none can be faster than (optional): no picture shows it
const fs = require('node:fs');
const path = require('node:path');
const { project } = require('../scripts/projects');

const folder = path.join(__dirname, 'peers');

/** This package first, then process.send, with which all are compared, then the others. */
const order = ['agent', 'agent-no-spin', 'agent-thread', 'send', 'send-advanced'];

function loadPeers(wanted) {
  const ids = fs.readdirSync(folder).map(file => path.basename(file, '.js'));
  const unknown = wanted?.filter(id => !ids.includes(id)) ?? [];
  if (unknown.length > 0) {
    throw new Error(`no such peer: ${unknown.join(', ')}. There are ${ids.join(', ')}`);
  }
  const place = id => (order.includes(id) ? order.indexOf(id) : order.length);
  return ids
    .filter(id => !wanted || wanted.includes(id))
    .sort((a, b) => place(a) - place(b) || a.localeCompare(b))
    .map(id => ({ id, without: [], ...require(path.join(folder, id)) }));
}

/** Installs what a peer needs, and gives back the folder of its project. `tarballs`: of this package. */
function installPeer(peer, tarballs) {
  peer.install?.();
  if (peer.project) {
    return project(peer.project, peer.project === 'benchmark' ? { tarballs } : {});
  }
  return peer.packages ? project(`peer-${peer.id}`, { packages: peer.packages }) : __dirname;
}

module.exports = { loadPeers, installPeer };
