//! What waits for JavaScript: frames of calls and notices, in the order in which they came.
//!
//! Rust threads put in, the JavaScript thread takes out. Many items make one wake-up. What waits is bounded: readers
//! of sockets wait for [`Inbox::room`], so that a busy event loop makes its peers' sockets fill up, not our memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::sync::Notify;

use crate::ipc::frame::Frame;
use crate::ipc::lane::{Lane, LaneId};
use crate::ipc::message::{MemberInfo, MemberState};
use crate::role::{Epoch, MemberId};

/// How many bytes of frames may wait before readers pause.
const HIGH_WATER: usize = 8 * 1024 * 1024;
/// How many items are taken at once, so that a flood leaves the event loop time for other work.
const TAKE_ITEMS: usize = 256;
/// How many bytes are taken at once.
const TAKE_BYTES: usize = 4 * 1024 * 1024;

/// Something that JavaScript is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Notice {
    /// This process is primary now.
    Elected {
        /// The new tenure.
        epoch: Epoch,
        /// Our id in it.
        id: MemberId,
    },
    /// This process follows a primary now.
    Following {
        /// The primary's tenure.
        epoch: Epoch,
        /// Our id in it.
        id: MemberId,
        /// Who leads.
        primary: MemberInfo,
    },
    /// There is no primary that we know; an election follows.
    Leaderless,
    /// The primary that we follow has finished its own start-up.
    PrimaryReady {
        /// Its tenure.
        epoch: Epoch,
    },
    /// A call lane to another member is open.
    LaneOpen {
        /// Its number, unique in this process.
        lane: LaneId,
        /// The tenure that it belongs to.
        epoch: Epoch,
        /// The member at the other end.
        peer: MemberId,
        /// It makes the calls, and this process is its primary.
        calls_us: bool,
        /// The largest payload that the other end takes.
        max_payload: usize,
    },
    /// A call lane has been read to its end.
    LaneClosed {
        /// Its number.
        lane: LaneId,
        /// How many of our frames were handed to the operating system whole.
        written: u64,
        /// How many of our frames a primary that handed over has accepted; unknown when it just died.
        accepted: Option<u64>,
    },
    /// Somebody joined the group.
    MemberJoined {
        /// Who.
        member: MemberInfo,
    },
    /// A member's state has changed.
    MemberState {
        /// Whose.
        id: MemberId,
        /// What it is now.
        state: MemberState,
    },
    /// Somebody left the group.
    MemberLeft {
        /// Who.
        member: MemberInfo,
    },
    /// The answer to a question for the members.
    Members {
        /// The question's number.
        request: u32,
        /// Everybody, the primary first.
        members: Vec<MemberInfo>,
    },
    /// Something for the log.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: &'static str,
        /// What to write.
        message: String,
    },
    /// The group can't be joined.
    Failed {
        /// The code of the error.
        code: &'static str,
        /// Its message.
        message: String,
    },
    /// The agent has ended; nothing follows.
    Closed,
}

/// One thing in the inbox.
#[derive(Debug)]
pub enum Item {
    /// Calls or replies from another member.
    Frame(Arc<Lane>, Frame),
    /// Something else to tell.
    Notice(Notice),
}

/// See the module.
pub struct Inbox {
    queue: Mutex<Queue>,
    scheduled: AtomicBool,
    drained: Notify,
    /// Gone once `Closed` was taken: it refers to JavaScript, which would refer to us for ever.
    wake: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
}

#[derive(Default)]
struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
}

impl Inbox {
    /// An inbox that calls `wake` when there is something to take and nobody was woken for it yet.
    #[must_use]
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            queue: Mutex::default(),
            scheduled: AtomicBool::new(false),
            drained: Notify::new(),
            wake: Mutex::new(Some(Box::new(wake))),
        }
    }

    /// Puts a notice in.
    pub fn tell(&self, notice: Notice) {
        self.queue().items.push_back(Item::Notice(notice));
        self.schedule();
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

    /// Waits until a reader may put more in.
    pub async fn room(&self) {
        loop {
            let drained = self.drained.notified();
            if self.queue().bytes < HIGH_WATER {
                return;
            }
            drained.await;
        }
    }

    /// Takes a bounded part of what waits, and tells whether more is left. No wake-up comes for what is left: whoever
    /// takes has to come again, in a later turn of its event loop.
    ///
    /// A lane counts what is taken of it: that is what a primary has accepted. Frames of a lane that was stopped in
    /// the meantime are dropped: its last word was that it has not accepted them.
    #[must_use]
    pub fn take(&self) -> (Vec<Item>, bool) {
        let mut taken = Vec::new();
        let mut bytes = 0;
        let left = {
            let mut queue = self.queue();
            while taken.len() < TAKE_ITEMS && bytes < TAKE_BYTES {
                let Some(item) = queue.items.pop_front() else {
                    break;
                };
                if let Item::Frame(lane, frame) = &item {
                    bytes += frame.payload.len();
                    if !lane.count_accepted() {
                        continue;
                    }
                }
                taken.push(item);
            }
            queue.bytes -= bytes;
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

    /// Runs `f` while nothing can be taken.
    pub fn while_untouched<T>(&self, f: impl FnOnce() -> T) -> T {
        let _queue = self.queue();
        f()
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
