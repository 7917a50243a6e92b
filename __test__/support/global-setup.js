// Builds what is out of date and makes the projects whose processes the tests start.
const { setup } = require('../../scripts/setup');
const { projects } = require('../../scripts/projects');

module.exports = async () => {
  setup();
  projects();
};
