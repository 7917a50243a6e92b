/**
 * How an application in the main thread and applications in worker threads find each other. A standalone main thread
 * can't see whether a worker thread boots an application, and a thread can't see whether its main thread has one: they
 * ask on a channel that reaches all threads of a process and nobody else.
 *
 * The main thread's application goes first, because what it holds in memory is what its own calls have set so far: a
 * thread waits until it has joined, bounded.
 */
import { BroadcastChannel } from 'node:worker_threads';

const CHANNEL = '@midwayjs/process-agent';
/** How long a thread waits for any word of a main thread that may have no application, or be busy. */
const ANSWER_MS = 200;
/** How long it waits for a main thread that has said that it is joining. */
const JOIN_MS = 5_000;

type Word = 'thread-joining' | 'main-joining' | 'main-joined' | 'main-started';

/** The main thread's side: `join` is called once, when the first thread joins. Returns what ends the meeting. */
export function meetThreads(join: () => Promise<void>): () => void {
  let ended = false;
  const say = (word: Word) => {
    if (!ended) {
      channel.postMessage(word);
    }
  };
  const channel = open(word => {
    if (word === 'thread-joining') {
      say('main-joining');
      // Also when it could not join: the thread need not wait for it then.
      join().finally(() => say('main-joined'));
    }
  });
  // Threads that joined before this application started come to know of it.
  say('main-started');
  return () => {
    ended = true;
    channel.close();
  };
}

/** A thread's side: resolves when it may join. Returns what ends the meeting. */
export async function meetMainThread(): Promise<() => void> {
  let heard: (word: Word) => void = () => {};
  const channel = open(word => {
    heard(word);
    if (word === 'main-started') {
      channel.postMessage('thread-joining' satisfies Word);
    }
  });
  await new Promise<void>(resolve => {
    let timer = setTimeout(resolve, ANSWER_MS);
    heard = word => {
      if (word === 'main-joining') {
        clearTimeout(timer);
        timer = setTimeout(resolve, JOIN_MS);
      } else if (word === 'main-joined') {
        clearTimeout(timer);
        resolve();
      }
    };
    channel.postMessage('thread-joining' satisfies Word);
  });
  return () => channel.close();
}

function open(hear: (word: Word) => void): BroadcastChannel {
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = event => hear((event as { data: Word }).data);
  // Waiting for threads keeps no process alive. Missing from the types of older @types/node.
  (channel as unknown as { unref(): void }).unref();
  return channel;
}
