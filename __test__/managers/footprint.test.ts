import { execFileSync } from 'node:child_process';
import { freePorts } from '../support/http';
import { killAll, type Running, start } from '../support/processes';
import { projectFolder } from '../support/project';
import { within } from '../support/until';

interface Open {
  phase: string;
  /** Their names, as Linux has them. */
  threads: string[];
  files: string[];
}

/** Time limits are for a machine with nothing else to do; tests share theirs. */
const tolerance = 3;

afterEach(killAll);

describe.each(['v3', 'v4'] as const)('with Midway %s', project => {
  it('require adds at most 15 ms and 8 MB to what @midwayjs/core takes', () => {
    const samples = Array.from({ length: 7 }, () => costOfRequire(projectFolder(project)));
    const milliseconds = median(samples.map(sample => sample.milliseconds));
    const megabytes = median(samples.map(sample => sample.megabytes));
    console.info(`require with Midway ${project}: ${milliseconds.toFixed(1)} ms, ${megabytes.toFixed(1)} MB`);
    expect(milliseconds).toBeLessThan(15 * tolerance);
    expect(megabytes).toBeLessThan(8);
  });
});

const onLinux = process.platform === 'linux' ? describe : describe.skip;

onLinux('a member of a group', () => {
  const group = `footprint-${process.pid}-${Date.now()}`;

  it('has at most two threads more than a standalone application', async () => {
    const alone = await started({});
    const member = await started({ MIDWAY_PROCESS_AGENT_GROUP: group });
    console.info(`threads: ${alone.open.threads.length} standalone, ${member.open.threads.length} as a member`);
    expect(member.open.threads.length - alone.open.threads.length).toBeLessThanOrEqual(2);
  });

  it('leaves no thread, file or socket behind when closed, and its process ends by itself', async () => {
    const alone = await closed(await started({}));
    const member = await closed(await started({ MIDWAY_PROCESS_AGENT_GROUP: group }));
    expect(member.open.threads).toEqual(alone.open.threads);
    expect(kinds(member.open.files)).toEqual(kinds(alone.open.files));
    expect(await ended(member.process)).toEqual({ code: 0, signal: null });
  });

  it('leaves nothing behind as a worker either', async () => {
    const primary = await started({ MIDWAY_PROCESS_AGENT_GROUP: group });
    const alone = await closed(await started({}));
    const worker = await closed(await started({ MIDWAY_PROCESS_AGENT_GROUP: group }));
    expect(primary.process.isRunning).toBe(true);
    expect(worker.open.threads).toEqual(alone.open.threads);
    expect(kinds(worker.open.files)).toEqual(kinds(alone.open.files));
    expect(await ended(worker.process)).toEqual({ code: 0, signal: null });
  });
});

/** Time and memory of one process that loads both, less those of one that loads core alone. */
function costOfRequire(cwd: string): { milliseconds: number; megabytes: number } {
  // The binary is loaded when a group is joined; it counts here all the same.
  const agent = "require('@midwayjs/process-agent'); require('@midwayjs/process-agent/binding.js');";
  const [core, both] = ['', agent].map(second => {
    const script = `
      require('@midwayjs/core');
      const begin = process.hrtime.bigint();
      ${second}
      const milliseconds = Number(process.hrtime.bigint() - begin) / 1e6;
      console.log(JSON.stringify({ milliseconds, megabytes: process.memoryUsage.rss() / 1e6 }));
    `;
    return JSON.parse(execFileSync(process.execPath, ['-e', script], { cwd, encoding: 'utf8' }));
  });
  return { milliseconds: both.milliseconds, megabytes: both.megabytes - core.megabytes };
}

async function started(env: Record<string, string>): Promise<{ process: Running; open: Open }> {
  const [port] = await freePorts(1);
  const process = start(['close.js'], {
    cwd: projectFolder('v4'),
    env: { ...env, PORT: String(port) },
    channel: true,
  });
  return { process, open: await process.message<Open>('that it has started') };
}

/** Closes the application; its process then says what is still open, and goes on for nothing. */
async function closed({ process }: { process: Running }): Promise<{ process: Running; open: Open }> {
  const message = process.message<Open>('that it has closed');
  process.child.send('close');
  return { process, open: await message };
}

function ended(process: Running) {
  return within(process.exited, { what: 'the process to end by itself', timeout: 10_000 });
}

/** How many files of each kind; a socket's or pipe's number says nothing. Midway keeps its log files open. */
function kinds(files: string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const file of files.filter(name => !/\.log(\.|$)/.test(name))) {
    const kind = file.replace(/:\[\d+\]$/, '');
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

function median(numbers: number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];
}
