// Packs what would be published for this machine: the main package and this platform's binary package.
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { root, work, must } = require('./shell');
const { platform, bindingFile } = require('./setup');

/** Both tarballs' paths. A folder is named by its content: npm reuses what it has for a path that it knows. */
function pack() {
  const folder = path.join(root, 'npm', platform());
  fs.copyFileSync(path.join(root, bindingFile()), path.join(folder, bindingFile()));
  const incoming = path.join(work, 'tarballs', `incoming-${process.pid}`);
  fs.mkdirSync(incoming, { recursive: true });
  try {
    const tarballs = { main: npmPack(root, incoming), platform: npmPack(folder, incoming) };
    const hash = hashOf(Object.values(tarballs).map(name => path.join(incoming, name)));
    const home = path.join(work, 'tarballs', hash);
    fs.mkdirSync(home, { recursive: true });
    for (const name of Object.values(tarballs)) {
      fs.renameSync(path.join(incoming, name), path.join(home, name));
    }
    return { hash, main: path.join(home, tarballs.main), platform: path.join(home, tarballs.platform) };
  } finally {
    fs.rmSync(incoming, { recursive: true, force: true });
  }
}

function npmPack(folder, destination) {
  const done = must('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', destination], { cwd: folder });
  return path.basename(JSON.parse(done.stdout)[0].filename);
}

function hashOf(files) {
  const hash = crypto.createHash('sha256');
  for (const file of files) {
    hash.update(fs.readFileSync(file));
  }
  return hash.digest('hex').slice(0, 16);
}

module.exports = { pack };

if (require.main === module) {
  const { main, platform } = pack();
  console.log(main);
  console.log(platform);
}
