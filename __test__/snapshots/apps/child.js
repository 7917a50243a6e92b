const { fork } = require('node:child_process');
const { stay, take } = require('./probe');

const name = process.env.SNAPSHOT.replace('-child', '');
if (process.argv[2] === 'child') {
  take(`${name}-child`);
} else {
  take(`${name}-parent`);
  fork(__filename, ['child']);
}
stay();
