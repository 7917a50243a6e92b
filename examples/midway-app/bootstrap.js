// One process of the application. pm2 and manager.js start several.
const { Bootstrap } = require('@midwayjs/bootstrap');

Bootstrap.configure({ appDir: __dirname }).run();
