import { readFileSync } from 'node:fs';
import * as path from 'node:path';
import { transformSync } from '@swc/core';
import { buildSync } from 'esbuild';

/**
 * A program in one file, as webpack and ncc make it of `entry`: each module is a function, packages stay outside, and
 * nothing is left of where a class was written.
 */
export function bundle(entry: string): string {
  const modules = new Map<string, string>();
  const numberOf = (file: string): number => {
    if (!modules.has(file)) {
      modules.set(file, '');
      modules.set(
        file,
        compile(file, inner => numberOf(inner)),
      );
    }
    return [...modules.keys()].indexOf(file);
  };
  numberOf(entry);
  const functions = [...modules.values()].map(code => `(exports, load) => {\n${code}\n}`);
  return `'use strict';
const modules = [${functions.join(',\n')}];
const loaded = [];
const load = number => {
  if (!loaded[number]) {
    loaded[number] = {};
    modules[number](loaded[number], load);
  }
  return loaded[number];
};
load(0);
`;
}

function compile(file: string, numberOf: (file: string) => number): string {
  const { code } = transformSync(readFileSync(file, 'utf8'), {
    swcrc: false,
    configFile: false,
    jsc: {
      parser: { syntax: 'typescript', decorators: true },
      transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
      target: 'es2022',
    },
    module: { type: 'commonjs' },
  });
  return code.replace(
    /require\("(\.[^"]+)"\)/g,
    (_, relative) => `load(${numberOf(path.join(path.dirname(file), `${relative}.ts`))})`,
  );
}

/** The same as esbuild makes it of `entry` when it minifies: classes have names of one letter. */
export function minifiedBundle(entry: string): string {
  const { outputFiles } = buildSync({
    entryPoints: [entry],
    bundle: true,
    minify: true,
    write: false,
    platform: 'node',
    target: 'node18',
    packages: 'external',
    tsconfigRaw: { compilerOptions: { experimentalDecorators: true, useDefineForClassFields: false } },
  });
  return outputFiles[0].text;
}
