module.exports = { apps: [{ name: 'api', script: 'pm2-app.js', exec_mode: 'fork', instances: 2, instance_var: 'INSTANCE_ID' }] };
