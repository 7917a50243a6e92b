// One process: plain node, pm2 in both modes, and the workers of manager.js and cluster.js.
const { Bootstrap } = require('@midwayjs/bootstrap');

Bootstrap.configure({ appDir: __dirname }).run();
