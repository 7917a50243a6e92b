// Builds what is out of date and makes the projects whose processes the tests start.
const fs = require('node:fs');
const path = require('node:path');
const { projects } = require('../../scripts/projects');
const { setup } = require('../../scripts/setup');
const { work } = require('../../scripts/shell');

module.exports = async () => {
  fs.mkdirSync(path.join(work, 'home'), { recursive: true });
  setup();
  projects();
};
