module.exports = { apps: [{ name: 'api', script: 'midway.js', exec_mode: 'fork', instances: 2 }] };
