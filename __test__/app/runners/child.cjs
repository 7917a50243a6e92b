const { boot } = require('./case.cjs');

boot().then(async ({ agent, end }) => {
  console.log(JSON.stringify({ deployment: agent.explain().deployment, group: agent.group }));
  await end();
});
