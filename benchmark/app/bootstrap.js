// One process of the application. manager.js and cluster.js start several.
const { Bootstrap } = require('@midwayjs/bootstrap');

Bootstrap.configure({ appDir: __dirname }).run();
