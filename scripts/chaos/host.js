/** What a chaos test does to the host that its processes believe to be on: their wall clock, their disk, their share of a CPU. */
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

/** Of one CPU, for a member that is starved. */
const SHARE = 0.15;
/** ms; what of it is a member's own, where the kernel sees to that, and where signals do. */
const PERIOD = 100;
const DAY = 86_400_000;
/** ms by which the clock is stepped. */
const STEPS = [-30_000, DAY, -1_000, 1_000];
/** Room for what a group keeps in its folder, many times. */
const DISK_BYTES = 4 * 1024 * 1024;

/** The wall clock of all processes that were started with `env`. The monotonic clocks go on as they are. */
class WallClock {
  #file;
  #offset = 0n;

  constructor(folder) {
    const library = path.join(folder, 'wall-clock.so');
    this.#file = path.join(folder, 'wall-clock');
    run('cc', ['-shared', '-fPIC', '-O2', '-o', library, path.join(__dirname, 'wall-clock.c'), '-ldl']);
    this.#write();
    const others = process.env.LD_PRELOAD ? `:${process.env.LD_PRELOAD}` : '';
    this.env = { LD_PRELOAD: `${library}${others}`, CHAOS_CLOCK: this.#file };
    const seen = this.#seen();
    this.step(DAY);
    if (this.#seen() - seen < DAY / 2) {
      throw new Error('Node does not ask the C library for the time');
    }
    this.step(-DAY);
  }

  step(ms) {
    this.#offset += BigInt(ms) * 1_000_000n;
    this.#write();
  }

  /** Over what is there: the processes have it in their memory. */
  #write() {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(this.#offset);
    const file = fs.openSync(this.#file, fs.constants.O_WRONLY | fs.constants.O_CREAT);
    fs.writeSync(file, bytes, 0, bytes.length, 0);
    fs.closeSync(file);
  }

  #seen() {
    const env = { ...process.env, ...this.env };
    return Number(run(process.execPath, ['-p', 'Date.now()'], { env }));
  }
}

/** A small disk of its own for the group's folder. */
class Disk {
  #isMounted = false;

  constructor(folder) {
    this.folder = path.join(folder, 'disk');
    fs.mkdirSync(this.folder);
    run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES},mode=700`, 'chaos', this.folder]);
    this.#isMounted = true;
  }

  fill() {
    const file = fs.openSync(this.#filler, 'w');
    try {
      // In ever smaller parts: what is left must not take a page.
      for (let bytes = DISK_BYTES / 2; bytes >= 1; ) {
        try {
          fs.writeSync(file, Buffer.alloc(bytes));
        } catch (error) {
          if (error.code !== 'ENOSPC') {
            throw error;
          }
          bytes = Math.floor(bytes / 2);
        }
      }
    } finally {
      fs.closeSync(file);
    }
  }

  free() {
    fs.rmSync(this.#filler, { force: true });
  }

  end() {
    if (this.#isMounted) {
      this.#isMounted = false;
      // Lazily: a process that is being killed may still have its folder.
      run('umount', ['-l', this.folder]);
    }
  }

  get #filler() {
    return path.join(this.folder, 'filler');
  }
}

/** Where the kernel can give a process a share of a CPU: versions 1 and 2 of cgroups. */
const CGROUPS = [
  {
    /** The line of /proc/self/cgroup that names this process's own group. */
    own: /^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(.*)$/m,
    mount: '/sys/fs/cgroup/cpu',
    /** Where a new group is made, seen from there. */
    below: '.',
    limits: { 'cpu.cfs_period_us': PERIOD * 1000, 'cpu.cfs_quota_us': PERIOD * SHARE * 1000 },
  },
  {
    own: /^0::(.*)$/m,
    mount: '/sys/fs/cgroup',
    // A group that has processes can't give parts of its share away; the one around it does.
    below: '..',
    limits: { 'cpu.max': `${PERIOD * SHARE * 1000} ${PERIOD * 1000}` },
  },
];

/** Lets one process at a time have 15 % of a CPU: by a cgroup's quota, else by stopping it for 85 of each 100 ms. */
class Starvation {
  #group;
  #home;
  #slices;

  constructor(name) {
    for (const { own, mount, below, limits } of CGROUPS) {
      const ownPath = ownGroup(own) ?? '/';
      const home = path.join(mount, ownPath);
      // Never above the mount.
      const group = path.join(mount, path.join('/', ownPath, below), name);
      try {
        // Where this is no file, it is no cgroup.
        fs.accessSync(path.join(home, 'cgroup.procs'), fs.constants.W_OK);
        fs.mkdirSync(group);
        for (const [file, value] of Object.entries(limits)) {
          // The kernel has made it, if it has that controller.
          fs.writeFileSync(path.join(group, file), String(value), { flag: 'r+' });
        }
        [this.#group, this.#home] = [group, home];
        break;
      } catch {
        // There is no such controller here, or it is not ours to use.
        removeFolder(group);
      }
    }
    this.how = this.#group ? `cgroup ${this.#group}` : 'SIGSTOP and SIGCONT';
  }

  begin(child) {
    if (this.#group) {
      move(child, this.#group);
      return;
    }
    const [on, off] = [PERIOD * SHARE, PERIOD * (1 - SHARE)];
    const stop = () => {
      child.kill('SIGSTOP');
      this.#slices = setTimeout(go, off);
    };
    const go = () => {
      child.kill('SIGCONT');
      this.#slices = setTimeout(stop, on);
    };
    stop();
  }

  end(child) {
    if (this.#group) {
      move(child, this.#home);
      return;
    }
    clearTimeout(this.#slices);
    child.kill('SIGCONT');
  }

  /** When its processes have ended. */
  remove() {
    if (this.#group) {
      removeFolder(this.#group);
    }
  }
}

function ownGroup(line) {
  try {
    return fs.readFileSync('/proc/self/cgroup', 'utf8').match(line)?.[1];
  } catch {
    return undefined;
  }
}

function move({ pid, exitCode, signalCode }, group) {
  if (exitCode === null && signalCode === null) {
    try {
      fs.writeFileSync(path.join(group, 'cgroup.procs'), String(pid));
    } catch (error) {
      // It has just ended.
      if (error.code !== 'ESRCH') {
        throw error;
      }
    }
  }
}

function removeFolder(folder) {
  try {
    fs.rmdirSync(folder);
  } catch {
    // It was never made, or a process that is being killed is still in it: an empty cgroup holds nothing.
  }
}

function run(program, args, options) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', timeout: 20_000, ...options });
  if (error || status !== 0) {
    throw new Error(error?.message ?? `${program}: ${stderr.trim()}`);
  }
  return stdout;
}

module.exports = { WallClock, Disk, Starvation, STEPS };
