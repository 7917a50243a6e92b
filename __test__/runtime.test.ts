import { runtime, runtimeOf } from '../ts/runtime';

const release = { name: 'node' } as NodeJS.ProcessRelease;

it.each([
  ['Node', { node: '20.1.0', uv: '1.46.0' }, { name: 'Node', title: 'Node v20.1.0', hasLibuv: true }],
  // Both say that they are Node, and have libuv.
  ['Bun', { node: '26.3.0', uv: '1.48.0', bun: '1.4.5' }, { name: 'Bun', title: 'Bun 1.4.5', hasLibuv: false }],
  ['Deno', { node: '26.3.0', uv: '1.52.1', deno: '2.9.6' }, { name: 'Deno', title: 'Deno 2.9.6', hasLibuv: false }],
  ['one that has no libuv', { node: '20.1.0' }, { hasLibuv: false }],
])('%s is known by its versions', (_, versions, known) => {
  expect(runtimeOf({ versions: versions as unknown as NodeJS.ProcessVersions, release })).toMatchObject(known);
});

it('this is Node', () => {
  expect(runtime).toMatchObject({ title: `Node ${process.version}`, hasLibuv: true });
});

it('what is not known is not taken for Node', () => {
  const versions = { node: '20.1.0', uv: '1.46.0' } as NodeJS.ProcessVersions;
  expect(runtimeOf({ versions, release: { name: 'other' } as NodeJS.ProcessRelease }).hasLibuv).toBe(false);
});
