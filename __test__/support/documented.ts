/** What the documents show, as an application of its own: inside a project, so that its packages are found. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { runToEnd } from './processes';
import { type ProjectName, projectFolder } from './project';

const root = join(__dirname, '..', '..');

interface Block {
  language: string;
  /** Of the file that it is, as its first line says. */
  name: string | undefined;
  code: string;
}

export function textOf(document: string): string {
  return readFileSync(join(root, document), 'utf8');
}

export function blocksOf(document: string): Block[] {
  return [...textOf(document).matchAll(/^```(\w+)\n(?:\/\/ (\S+\.ts)\n)?([\s\S]*?)^```$/gm)].map(
    ([, language, name, code]) => ({
      language,
      name,
      code,
    }),
  );
}

/** The code blocks that begin with the name of their file. */
export function filesOf(document: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const { language, name, code } of blocksOf(document)) {
    if (language === 'ts' && name) {
      files.set(name, code);
    }
  }
  return files;
}

/** The sources of an application that stands in a folder of this repository. */
export function sourcesOf(folder: string): Map<string, string> {
  const names = readdirSync(join(root, folder, 'src'), { recursive: true }) as string[];
  return new Map(
    names
      .filter(name => name.endsWith('.ts'))
      .map(name => {
        const file = `src/${name.split(sep).join('/')}`;
        return [file, textOf(`${folder}/${file}`)];
      }),
  );
}

export class DocumentedApp {
  private readonly project: string;
  readonly folder: string;

  constructor(name: string, version: ProjectName = 'v4') {
    this.project = projectFolder(version);
    this.folder = join(this.project, name);
  }

  /** Writes the files and compiles them; gives what the compiler has said. */
  async compile(files: Map<string, string>): Promise<string> {
    this.remove();
    for (const [name, code] of files) {
      mkdirSync(dirname(join(this.folder, name)), { recursive: true });
      writeFileSync(join(this.folder, name), code);
    }
    for (const name of ['bootstrap.js', 'manager.js', 'package.json']) {
      cpSync(join(this.project, name), join(this.folder, name));
    }
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    const options =
      '--target ES2022 --experimentalDecorators --emitDecoratorMetadata --useDefineForClassFields false --strict ' +
      '--strictPropertyInitialization false --skipLibCheck --types node --rootDir src';
    // As Midway's own projects, and as those that are compiled file by file: what is a type alone must be imported as one.
    const settings = [
      '--module commonjs --moduleResolution node10 --outDir dist',
      '--module node16 --moduleResolution node16 --isolatedModules --noEmit',
    ];
    const typeRoots = ['--typeRoots', join(root, 'node_modules', '@types')];
    let said = '';
    for (const setting of settings) {
      const args = [...options.split(' '), ...setting.split(' '), ...typeRoots, ...files.keys()];
      said += (await runToEnd([tsc, ...args], { cwd: this.folder })).output;
    }
    return said;
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
