/** Loads the native binding: the only file that knows it. */
import { ProcessAgentError } from './errors';
import { runtime } from './runtime';

/** What the binding offers; see `binding.d.ts`, which is generated. */
export type Binding = typeof import('../binding');
export type NativeAgent = import('../binding').NativeAgent;
export type NativeAgentOptions = import('../binding').NativeAgentOptions;

/** The kinds of frames that JavaScript sends and gets; the numbers are those of `src/ipc/frame.rs`. */
export const FrameKind = { Calls: 1, Replies: 2, PackedCalls: 6, PackedReplies: 7 } as const;

let loaded: Binding | undefined;

/** The binding, loaded at first use. Throws `ERR_AGENT_BINDING` when this platform has none. */
export function loadBinding(): Binding {
  if (!loaded) {
    try {
      loaded = require('../binding.js') as Binding;
    } catch (cause) {
      throw new ProcessAgentError(
        'ERR_AGENT_BINDING',
        `@midwayjs/process-agent has no native binary for ${platformName()}: neither the package ` +
          `@midwayjs/process-agent-${packageSuffix()} nor a file process-agent.${packageSuffix()}.node was found. ` +
          'Install again on this very platform, with optional dependencies (no --omit=optional, --no-optional), ' +
          'and do not copy node_modules from another platform. ' +
          `Supported: Linux x64 and arm64 (glibc, musl), macOS x64 and arm64, Windows x64. (${reason(cause)})`,
        { outcome: 'not-sent', cause },
      );
    }
  }
  return loaded;
}

/** Whether a debugger may be attached to this process. */
export function isInspected(): boolean {
  try {
    return (require('node:inspector') as typeof import('node:inspector')).url() !== undefined;
  } catch {
    // Node can be built without it.
    return false;
  }
}

function reason(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split('\n', 1)[0].slice(0, 200);
}

function platformName(): string {
  const libc = libcName();
  return `${process.platform} ${process.arch}${libc ? ` (${libc})` : ''}, ${runtime.title}`;
}

function packageSuffix(): string {
  const abi = { linux: libcName() === 'musl' ? '-musl' : '-gnu', win32: '-msvc' }[process.platform as string] ?? '';
  return `${process.platform}-${process.arch}${abi}`;
}

function libcName(): 'glibc' | 'musl' | undefined {
  if (process.platform !== 'linux') {
    return undefined;
  }
  // Asked only when the binding is missing: the report takes milliseconds.
  const report = process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined;
  return report?.header?.glibcVersionRuntime ? 'glibc' : 'musl';
}
