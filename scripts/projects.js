// Makes the projects that the tests, the benchmark and the demo run: real installs in .work/projects, outside this
// package's node_modules, because two copies of @midwayjs/core in one process can't work.
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { root, work, must, bin } = require('./shell');
const { lock } = require('./lock');
const { pack } = require('./pack');
const versions = require('./versions.json');

const home = path.join(work, 'projects');
const tests = path.join(root, '__test__', 'app');
const benchmark = path.join(root, 'benchmark', 'app');
const example = path.join(root, 'examples', 'midway-app');

/** Projects that run an application of ours: whose packages they have, and the folders that they are made of. */
const applications = {
  v3: {
    packages: { ...versions.v3, ...versions.prometheus },
    sources: [path.join(tests, 'common'), path.join(tests, 'koa')],
  },
  v4: {
    packages: { ...versions.v4, ...versions.prometheus, ...versions.tracing },
    sources: ['common', 'koa', 'traced'].map(name => path.join(tests, name)),
  },
  egg: { packages: versions.egg, sources: [path.join(tests, 'common'), path.join(tests, 'egg')] },
  benchmark: { packages: versions.v3, sources: [benchmark] },
  old: { packages: versions.old, sources: [benchmark] },
  demo: { packages: versions.v4, sources: [example] },
};

/**
 * Makes one project, or brings it up to date: packages, then our tarballs, then the application. Each step is skipped
 * when nothing that it depends on has changed. Gives back the project's folder.
 */
function project(
  name,
  { tarballs, packages = applications[name]?.packages ?? versions[name], log = console.log } = {},
) {
  const folder = path.join(home, name);
  fs.mkdirSync(home, { recursive: true });
  const application = applications[name];
  const release = lock(path.join(home, `${name}.lock`));
  try {
    const done = new Steps(folder, name, log);
    done.step('packages', [packages, process.platform, process.arch], () => install(folder, name, packages));
    if (tarballs) {
      done.step('tarballs', [tarballs.hash], () => installTarballs(folder, tarballs));
    }
    if (application) {
      const { sources } = application;
      done.step('application', sources.map(contentOf), () => compile(folder, sources));
    }
  } finally {
    release();
  }
  return folder;
}

/** All projects that the tests need, with the packages as they would be published. */
function projects({ log = console.log } = {}) {
  const tarballs = pack();
  for (const name of ['v3', 'v4', 'egg']) {
    project(name, { tarballs, log });
  }
  project('tools', { log });
}

/** Remembers in the project what each step was made from. A step that runs again makes the later ones run again. */
class Steps {
  constructor(folder, name, log) {
    this.file = path.join(folder, '.made-from.json');
    this.name = name;
    this.log = log;
    this.made = fs.existsSync(this.file) ? JSON.parse(fs.readFileSync(this.file, 'utf8')) : {};
    this.current = {};
  }

  step(what, from, make) {
    const hash = crypto
      .createHash('sha256')
      .update(JSON.stringify([from, this.current]))
      .digest('hex');
    if (this.made[what] !== hash) {
      this.log(`Project ${this.name}: ${what}`);
      // Forgotten first, so that a step that was cut short is made again.
      fs.rmSync(this.file, { force: true });
      make();
    }
    this.current[what] = hash;
    this.made = { ...this.made, [what]: hash };
    fs.mkdirSync(path.dirname(this.file), { recursive: true });
    fs.writeFileSync(this.file, JSON.stringify(this.made));
  }
}

function install(folder, name, packages) {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const description = { name: `project-${name}`, version: '1.0.0', private: true, dependencies: packages };
  if (name === 'egg') {
    description.egg = { framework: '@midwayjs/web' };
  }
  fs.writeFileSync(path.join(folder, 'package.json'), `${JSON.stringify(description, null, 2)}\n`);
  must('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], { cwd: folder });
}

function installTarballs(folder, { main, platform }) {
  const packages = [main, platform];
  must('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', '--save', ...packages], { cwd: folder });
}

/** Copies the application's parts into the project and compiles them there, against the types of its own packages. */
function compile(folder, sources) {
  for (const place of ['src', 'dist']) {
    fs.rmSync(path.join(folder, place), { recursive: true, force: true });
  }
  for (const source of sources) {
    // The project has a description and settings of its own, with exact versions.
    const filter = file => !/^(package|tsconfig)\.json$|^(node_modules|dist)$/.test(path.relative(source, file));
    fs.cpSync(source, folder, { recursive: true, filter });
  }
  const tsconfig = {
    compilerOptions: {
      target: 'ES2022',
      module: 'commonjs',
      moduleResolution: 'node10',
      experimentalDecorators: true,
      emitDecoratorMetadata: true,
      useDefineForClassFields: false,
      strict: true,
      // As in the projects that Midway generates: the earlier example leaves a parameter without a type.
      noImplicitAny: false,
      strictPropertyInitialization: false,
      skipLibCheck: true,
      types: ['node'],
      typeRoots: [path.join(root, 'node_modules', '@types')],
      rootDir: 'src',
      outDir: 'dist',
    },
    include: ['src'],
  };
  fs.writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(tsconfig, null, 2));
  must(bin('tsc'), ['-p', 'tsconfig.json'], { cwd: folder });
}

/** Names and contents of all files in a folder, as one string to hash. */
function contentOf(folder) {
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile());
  return files
    .map(entry => path.join(entry.parentPath ?? entry.path, entry.name))
    .sort()
    .map(file => `${path.relative(folder, file)}\n${fs.readFileSync(file, 'utf8')}`)
    .join('\n');
}

module.exports = { home, project, projects };

if (require.main === module) {
  projects();
}
