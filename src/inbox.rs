//! What waits for JavaScript: frames of calls and notices, in the order in which they came.
//!
//! Rust threads put in, the JavaScript thread takes out. Many items make one wake-up. What waits is bounded: readers
//! of sockets wait for [`Inbox::room`], so that a busy event loop makes its peers' sockets fill up, not our memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::ipc::frame::Frame;
use crate::ipc::lane::{Lane, LaneId};
pub use crate::notice::{Letter, Notice};
use crate::time::host_ms;
use crate::watch::event_loop::{EventLoop, Watch};

/// How many bytes of frames may wait before readers pause.
const HIGH_WATER: usize = 8 * 1024 * 1024;
/// How many bytes may wait when a reader can't pause: a broker's, whose other members must not feel a stuck primary.
const MOST: usize = 128 * 1024 * 1024;
/// How many items are taken at once, so that a flood leaves the event loop time for other work.
const TAKE_ITEMS: usize = 256;
/// How many bytes are taken at once.
const TAKE_BYTES: usize = 4 * 1024 * 1024;

/// One thing in the inbox.
#[derive(Debug)]
pub enum Item {
    /// Calls or replies from another member.
    Frame(Arc<Lane>, Frame),
    /// A lane that the event loop reads may be read on.
    Room(LaneId),
    /// Something else to tell.
    Notice(Notice),
    /// Something else to tell, with a body.
    Letter(Letter),
}

impl Item {
    /// Whether it is still to be told to JavaScript. To be asked just before it is told: a lane counts that as taken,
    /// which is what a primary has accepted. A lane that was stopped in the meantime has said that it has not accepted
    /// its frame; and nobody waits for a letter that has expired.
    #[must_use]
    pub fn accept(&self) -> bool {
        match self {
            Self::Frame(lane, frame) => lane.count_accepted(frame),
            Self::Letter(letter) => letter.expires.is_none_or(|expires| expires > host_ms()),
            Self::Room(_) | Self::Notice(_) => true,
        }
    }
}

/// What a look asks of the event loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Nothing.
    None,
    /// For a turn. It has been in one for so long, as far as is known.
    ForTurn(Duration),
    /// The same, and JavaScript whether a debugger is attached.
    AndForDebugger(Duration),
}

/// See the module.
pub struct Inbox {
    queue: Mutex<Queue>,
    scheduled: AtomicBool,
    drained: Notify,
    event_loop: EventLoop,
    /// Gone once `Closed` was taken: it refers to JavaScript, which would refer to us for ever.
    wake: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    /// How many bytes were taken, all in all.
    taken: u64,
}

impl Inbox {
    /// An inbox that calls `wake` when there is something to take and nobody was woken for it yet.
    #[must_use]
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            queue: Mutex::default(),
            scheduled: AtomicBool::new(false),
            drained: Notify::new(),
            event_loop: EventLoop::default(),
            wake: Mutex::new(Some(Box::new(wake))),
        }
    }

    /// Puts a notice in.
    pub fn tell(&self, notice: Notice) {
        self.queue().items.push_back(Item::Notice(notice));
        self.schedule();
    }

    /// The event loop may read a lane on.
    pub fn push_room(&self, lane: LaneId) {
        self.queue().items.push_back(Item::Room(lane));
        self.schedule();
    }

    /// The event loop that takes out.
    #[must_use]
    pub fn event_loop(&self) -> &EventLoop {
        &self.event_loop
    }

    /// Looks at the event loop, and asks it what is to be asked, if it has no turn to take already.
    pub fn look(&self, watch: &mut Watch, now: Instant, question: Question) -> Duration {
        // Under the lock, as all turns are noted: else one could be asked for, by nobody, just behind the last.
        let mut queue = self.queue();
        let turning = match question {
            Question::None => None,
            Question::ForTurn(turning) | Question::AndForDebugger(turning) => Some(turning),
        };
        let (silence, ask) = watch.look(&self.event_loop, now, turning);
        if ask {
            if matches!(question, Question::AndForDebugger(_)) {
                queue.items.push_back(Item::Notice(Notice::Ping));
            }
            drop(queue);
            self.schedule();
        }
        silence
    }

    /// Puts a letter in, for one who can wait for [`Self::room`] before the next.
    pub fn post(&self, letter: Letter) {
        {
            let mut queue = self.queue();
            queue.bytes += letter.body.bytes.len();
            queue.items.push_back(Item::Letter(letter));
        }
        self.schedule();
    }

    /// Puts a letter in, for one who can't wait; `false` when far too much waits already.
    pub fn try_post(&self, letter: Letter) -> bool {
        let takes = self.takes_letters();
        if takes {
            self.post(letter);
        }
        takes
    }

    /// How many bytes wait, and how many were taken, all in all.
    #[must_use]
    pub fn progress(&self) -> (usize, u64) {
        let queue = self.queue();
        (queue.bytes, queue.taken)
    }

    /// Whether there is room for a letter of one who can't wait.
    #[must_use]
    pub fn takes_letters(&self) -> bool {
        self.queue().bytes <= MOST
    }

    /// Puts a frame of calls or replies in.
    pub fn push(&self, lane: &Arc<Lane>, frame: Frame) {
        {
            let mut queue = self.queue();
            queue.bytes += frame.payload.len();
            queue.items.push_back(Item::Frame(Arc::clone(lane), frame));
        }
        self.schedule();
    }

    /// Whether a reader may put more in.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue().bytes < HIGH_WATER
    }

    /// Waits until a reader may put more in.
    pub async fn room(&self) {
        loop {
            let drained = self.drained.notified();
            if self.has_room() {
                return;
            }
            drained.await;
        }
    }

    /// The event loop was woken: it turns. Tells whether something waits; if nothing does, the next thing wakes again.
    #[must_use]
    pub fn woken(&self) -> bool {
        let queue = self.queue();
        self.event_loop.turned();
        let waits = !queue.items.is_empty();
        if !waits {
            self.scheduled.store(false, Ordering::Release);
        }
        waits
    }

    /// Takes a bounded part of what waits, and tells whether more is left. No wake-up comes for what is left: whoever
    /// takes has to come again, in a later turn of its event loop. What it is not to tell, [`Item::accept`] knows.
    #[must_use]
    pub fn take(&self) -> (Vec<Item>, bool) {
        let mut taken = Vec::new();
        let mut bytes = 0;
        let left = {
            let mut queue = self.queue();
            self.event_loop.turned();
            while taken.len() < TAKE_ITEMS && bytes < TAKE_BYTES {
                let Some(item) = queue.items.pop_front() else {
                    break;
                };
                bytes += match &item {
                    Item::Frame(_, frame) => frame.payload.len(),
                    Item::Letter(letter) => letter.body.bytes.len(),
                    Item::Room(_) | Item::Notice(_) => 0,
                };
                // What comes after it is taken when the last word was said, and so is not accepted.
                let is_last = matches!(item, Item::Notice(Notice::Finishing));
                taken.push(item);
                if is_last {
                    break;
                }
            }
            queue.bytes -= bytes;
            queue.taken += bytes as u64;
            let left = !queue.items.is_empty();
            // Under the queue's lock: what is put in after this wakes again.
            self.scheduled.store(left, Ordering::Release);
            left
        };
        self.drained.notify_waiters();
        if taken.iter().any(|item| matches!(item, Item::Notice(Notice::Closed))) {
            self.wake().take();
        }
        (taken, left)
    }

    fn schedule(&self) {
        if !self.scheduled.swap(true, Ordering::AcqRel) {
            if let Some(wake) = self.wake().as_ref() {
                wake();
            }
        }
    }

    fn wake(&self) -> MutexGuard<'_, Option<Box<dyn Fn() + Send + Sync>>> {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds the queue; if it did, the queue would still be a queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}
