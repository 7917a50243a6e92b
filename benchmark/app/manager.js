// Midway's own cluster manager: its process boots no application.
const { join } = require('node:path');
const { ClusterManager } = require('@midwayjs/bootstrap');

new ClusterManager({ exec: join(__dirname, 'bootstrap.js'), count: Number(process.env.WORKERS) }).start();
