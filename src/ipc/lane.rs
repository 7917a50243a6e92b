//! The call lane: carries batches of calls and replies between the event loops of two members.
//!
//! This is the one place that decides how. A batch is written from the JavaScript thread if the socket takes it at once
//! (Unix), and otherwise by a task of the agent's thread. What arrives is read by the event loop itself, which polls the
//! socket ([`reader`]), or, where that can't be, by a task of the agent's thread, into the inbox with its one coalesced
//! wake-up ([`open`] has both). Order per lane holds on either path: the task writes only while the queue is not empty,
//! and the JavaScript thread only while it is. On Linux small frames to an end that is awake pass by the socket ([`express`]).
//!
//! A large frame waits in the queue until the other end has granted it, on the control lane ([`crate::ipc::flow`]), and so do
//! those behind it. It travels whole.

mod budget;
#[cfg(target_os = "linux")]
mod express;
#[cfg(all(unix, not(target_os = "linux")))]
#[path = "lane/no_express.rs"]
mod express;
#[cfg(target_os = "linux")]
pub mod memory;
mod open;
#[cfg(unix)]
pub mod reader;
#[cfg(target_os = "linux")]
pub mod ring;
mod room;
mod traffic;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use interprocess::local_socket::tokio::Stream;
use serde::Serialize;
use tokio::sync::Notify;

use crate::error::{AgentError, Result};
use crate::inbox::Inbox;
use crate::ipc::direct::Direct;
use crate::ipc::flow::budget::ReceiveBudget;
use crate::ipc::flow::signs::Signs;
use crate::ipc::flow::{GRANTS, SMALL};
use crate::ipc::frame::{self, Codec, Frame, Kind, HEADER_LEN};
use crate::ipc::message::{Final, Message};
use crate::ipc::outbox::Outbox;
use crate::role::Epoch;

pub use budget::Budget;
pub use open::{most, open, OpenLane, Peer};
pub use traffic::Traffic;

/// While so many bytes of replies wait to be written to a caller, no more calls are read from it. The caller's end always
/// reads: two ends that wait for each other to read would wait for ever.
const PAUSE_READING: usize = 16 * 1024 * 1024;

/// How often a lane whose member has ended otherwise is looked at.
const LOOK: std::time::Duration = std::time::Duration::from_millis(2);

/// Who reads what arrives on a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadBy {
    /// A task of the agent's thread.
    #[default]
    Thread,
    /// The event loop, which polls the socket.
    #[cfg(unix)]
    EventLoop,
}

/// What [`ring`] is made of.
#[cfg(target_os = "linux")]
mod atomics {
    pub use std::sync::atomic::{fence, AtomicU32, AtomicU64, Ordering};
}

/// A lane's number, unique in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct LaneId(pub u32);

/// One end of a call lane, as JavaScript's thread and the agent's see it.
#[derive(Debug)]
pub struct Lane {
    /// Its number.
    pub id: LaneId,
    /// The tenure that it belongs to: frames of another are refused.
    pub epoch: Epoch,
    /// The other end makes the calls.
    pub calls_us: bool,
    /// The other end grants large frames, and waits for grants.
    grants: bool,
    /// The control lane of the same member.
    control: ControlEnd,
    read_by: ReadBy,
    state: Mutex<State>,
    queued: Notify,
    written: Notify,
    /// It was read to its end, or JavaScript has refused it.
    ended: Notify,
    /// The event loop has met a large frame that was not announced.
    #[cfg(unix)]
    asked: Notify,
    inbox: Arc<Inbox>,
    budget: Arc<Budget>,
    traffic: Arc<Traffic>,
    direct: Option<Arc<Direct>>,
}

#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is another party's word, at any time")]
struct State {
    /// What could not be written at once.
    queue: VecDeque<Chunk>,
    /// The bytes of it that are not written yet.
    unwritten: usize,
    /// How many large frames of it are granted, from its front.
    granted: usize,
    /// The next large one is announced.
    announced: bool,
    /// The socket has room for large frames.
    has_room: bool,
    /// Nothing can be written any more.
    broken: bool,
    /// The writer task holds a chunk that is not in the queue any more.
    writing: bool,
    /// Frames given to [`Lane::send`].
    sent: u64,
    /// Frames handed to the operating system whole.
    written: u64,
    /// Frames of the other end that JavaScript was told.
    accepted: u64,
    /// The last word was said: no later frame is ever taken, also when the lane is closed by now.
    last_word_said: bool,
    phase: Phase,
    /// What arrived behind the handshake, for the event loop that is going to read.
    #[cfg(unix)]
    unread: Option<frame::FrameReader>,
    /// Whoever reads it waits until it may go on.
    paused: bool,
    /// JavaScript has more of it than it can run for now.
    held: bool,
    /// The payload's length of a frame that the other end did not announce, and for which there is no room yet.
    asks: Option<usize>,
    /// How it came to its end, when the event loop has read it, or JavaScript has refused it.
    end: Option<Result<()>>,
    /// The other end's last word.
    last: Option<Final>,
    /// A shorter way for small frames, if both ends have one.
    #[cfg(target_os = "linux")]
    express: Option<express::Outlet>,
}

/// What is left of a frame.
#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    /// It waits for a grant.
    is_large: bool,
}

/// The control lane that belongs to a call lane.
#[derive(Clone, Debug)]
pub struct ControlEnd {
    /// Where large frames are announced.
    pub outbox: Outbox,
    /// What is seen of the other end.
    pub signs: Arc<Signs>,
}

/// What came of giving a batch to a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It has this number on the lane, counted from 1.
    Frame(u64),
    /// The lane has ended.
    Closed,
    /// The other end doesn't read, and too much is held for it already.
    Full,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// The last word is queued: nothing more is accepted or sent.
    Finishing,
    Closed,
}

impl State {
    /// Nothing waits for the socket: what is written now comes behind all that was sent before.
    fn is_written_out(&self) -> bool {
        self.queue.is_empty() && !self.writing
    }

    /// The other end has read enough of what it was sent, or never will; and JavaScript takes more.
    fn may_read(&self) -> bool {
        (self.unwritten < PAUSE_READING || self.broken) && !self.held
    }

    /// It must not be read for now.
    fn is_to_pause(&self, calls_us: bool) -> bool {
        self.asks.is_some() || (calls_us && !self.may_read())
    }
}

impl Lane {
    fn new(
        epoch: Epoch,
        peer: Peer,
        control: ControlEnd,
        stream: &Stream,
        context: &LaneContext,
    ) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Ok(Self {
            id: LaneId(NEXT.fetch_add(1, Ordering::Relaxed)),
            epoch,
            calls_us: peer.calls_us,
            grants: peer.protocol >= GRANTS,
            control,
            read_by: context.read_by,
            state: Mutex::default(),
            queued: Notify::new(),
            written: Notify::new(),
            ended: Notify::new(),
            #[cfg(unix)]
            asked: Notify::new(),
            inbox: Arc::clone(&context.inbox),
            budget: Arc::clone(&context.budget),
            traffic: Arc::clone(&context.traffic),
            direct: Direct::of(stream).transpose()?.map(Arc::new),
        })
    }

    /// Sends a batch. Called on the JavaScript thread; never waits. `bounded` tells whether it is refused when the other
    /// end doesn't read.
    pub fn send(&self, kind: Kind, codec: Codec, payload: &[u8], bounded: bool) -> Sent {
        let mut state = self.state();
        if state.phase != Phase::Open {
            return Sent::Closed;
        }
        if bounded && !self.budget.has_room(state.unwritten, payload.len()) {
            return Sent::Full;
        }
        self.enqueue(&mut state, kind, codec, payload);
        self.traffic.count_out(payload.len());
        Sent::Frame(state.sent)
    }

    fn enqueue(&self, state: &mut State, kind: Kind, codec: Codec, payload: &[u8]) {
        let header = frame::header(kind, codec, self.epoch, 0, payload.len());
        state.sent += 1;
        #[cfg(target_os = "linux")]
        if self.goes_by_express(state, header, payload) {
            state.written += 1;
            return;
        }
        self.make_room(state, payload.len());
        if self.grants && payload.len() > SMALL {
            self.keep(state, [header.as_slice(), payload].concat(), true);
            self.announce(state);
            return;
        }
        let written = if state.is_written_out() { self.write_now(&header, payload) } else { 0 };
        let whole = header.len() + payload.len();
        if written == whole {
            state.written += 1;
            return;
        }
        let mut rest = Vec::with_capacity(whole - written);
        rest.extend_from_slice(header.get(written..).unwrap_or_default());
        rest.extend_from_slice(&payload[written.saturating_sub(header.len())..]);
        self.keep(state, rest, false);
    }

    fn keep(&self, state: &mut State, bytes: Vec<u8>, is_large: bool) {
        state.unwritten += bytes.len();
        self.budget.hold(bytes.len());
        state.queue.push_back(Chunk { bytes, is_large });
        self.queued.notify_one();
    }

    /// Announces the first large frame that is not granted, if none is announced.
    fn announce(&self, state: &mut State) {
        if state.announced {
            return;
        }
        let next = state.queue.iter().filter(|chunk| chunk.is_large).nth(state.granted);
        if let Some(next) = next {
            let bytes = u32::try_from(next.bytes.len() - HEADER_LEN).unwrap_or(u32::MAX);
            state.announced = true;
            self.control.outbox.say(&Message::Announce { bytes, lane: true });
        }
    }

    /// The other end has granted what was announced.
    ///
    /// # Errors
    /// When nothing was.
    pub fn granted(&self) -> Result<()> {
        let mut state = self.state();
        if !std::mem::take(&mut state.announced) {
            return Err(AgentError::BadFrame("a grant of calls that nobody waits for".into()));
        }
        state.granted += 1;
        self.announce(&mut state);
        drop(state);
        self.queued.notify_one();
        Ok(())
    }

    /// Whether it is for the other end to send, or to read: what has arrived is read.
    #[must_use]
    pub fn waits_for_peer(&self) -> bool {
        let state = self.state();
        if state.asks.is_some() || state.held {
            return false;
        }
        let is_unread = state.unwritten >= PAUSE_READING;
        drop(state);
        let is_read = match &self.direct {
            Some(direct) => !direct.is_readable(),
            None => self.inbox.has_room(),
        };
        is_unread || is_read
    }

    /// Writes what the socket takes at once. An error is not reported here: the reader meets it, after it has read
    /// what the other end had sent before.
    fn write_now(&self, header: &[u8], payload: &[u8]) -> usize {
        self.direct.as_ref().map_or(0, |direct| direct.write_now(header, payload))
    }

    /// Counts a frame that JavaScript is told; `false` when it must not be told any more.
    pub(crate) fn count_accepted(&self, frame: &Frame) -> bool {
        let mut state = self.state();
        let may = !state.last_word_said;
        state.accepted += u64::from(may);
        drop(state);
        if may {
            self.traffic.count_in(frame.payload.len());
        }
        may
    }

    /// Says the last word: which frames were accepted. Those that JavaScript was not told yet were not.
    pub fn finish(&self, relieved: bool) {
        let mut state = self.state();
        if state.phase != Phase::Open {
            return;
        }
        state.phase = Phase::Finishing;
        state.last_word_said = true;
        let last = Final { accepted: state.accepted, relieved };
        self.enqueue(&mut state, Kind::Final, Codec::Text, &last.to_bytes());
        self.queued.notify_one();
    }

    /// Waits until all that the other end is ever going to send is in the socket of a lane that the event loop reads.
    pub async fn hung_up(&self) {
        if self.read_by == ReadBy::Thread {
            // Whoever reads a lane in the agent's thread sees its end.
            std::future::pending::<()>().await;
        }
        while !self.is_hung_up() {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether the other end has gone: then all that it is ever going to send is in the socket.
    #[must_use]
    pub fn is_hung_up(&self) -> bool {
        self.direct.as_ref().is_some_and(|direct| direct.is_hung_up())
    }

    /// JavaScript has more of it than it can run for now, or no more: it is not read meanwhile.
    pub fn hold(&self, held: bool) {
        let mut state = self.state();
        state.held = held;
        self.go_on(state);
    }

    /// Bytes that were sent and are not in the socket yet.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        self.state().unwritten as u64
    }

    /// Ends the lane for both ends, whoever reads it. What has arrived is read first, where it can be.
    pub fn hang_up(&self) {
        match &self.direct {
            Some(direct) => direct.hang_up(),
            None => self.end(Ok(())),
        }
    }

    /// The lane brings nothing more: it was read to its end, or ends because of what it has brought.
    pub fn end(&self, how: Result<()>) {
        self.state().end.get_or_insert(how);
        self.ended.notify_one();
    }

    /// Waits for [`Self::end`].
    async fn read_to_end(&self) -> Result<()> {
        loop {
            if let Some(end) = self.state().end.take() {
                return end;
            }
            self.ended.notified().await;
        }
    }

    /// The other end's last word, if it has been read.
    #[must_use]
    pub fn last(&self) -> Option<Final> {
        self.state().last
    }

    fn chunk_written(&self, size: usize) {
        let mut state = self.state();
        state.written += 1;
        state.unwritten = state.unwritten.saturating_sub(size);
        self.budget.release(size);
        self.go_on(state);
    }

    /// Nothing can be written any more; what the other end has sent is still to be read.
    fn set_broken(&self) {
        let mut state = self.state();
        state.broken = true;
        self.go_on(state);
    }

    /// Who waits for the other end to read looks again.
    fn go_on(&self, mut state: MutexGuard<'_, State>) {
        self.written.notify_one();
        let was_paused = state.paused && !state.is_to_pause(self.calls_us);
        state.paused &= !was_paused;
        drop(state);
        if was_paused {
            self.inbox.push_room(self.id);
        }
    }

    /// The socket ends here, for the other end too: what JavaScript has not taken yet refers to the lane, and so would keep
    /// it open as long as an event loop is stuck.
    fn close(&self) -> u64 {
        let mut state = self.state();
        state.phase = Phase::Closed;
        #[cfg(target_os = "linux")]
        if let Some(express) = state.express.take().filter(|_| !self.calls_us && self.is_hung_up()) {
            // Calls that the primary has not taken out have not begun, nor have those behind them, and never will. If it is this
            // end that leaves, what it has sent is as good as on the socket.
            let taken = express.revoke().map_or(u64::MAX, |first| first.saturating_sub(1));
            state.written = state.written.min(taken);
        }
        if let Some(direct) = &self.direct {
            direct.shut_down();
        }
        state.queue.clear();
        self.budget.release(state.unwritten);
        state.unwritten = 0;
        state.written
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The open lanes of an agent, by number: how JavaScript names them.
#[derive(Debug, Default)]
pub struct Lanes(Mutex<HashMap<u32, Arc<Lane>>>);

impl Lanes {
    /// The lane of that number, while it is open.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<Arc<Lane>> {
        self.lock().get(&id).cloned()
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Says the last word on every lane.
    pub fn finish(&self) {
        let open: Vec<_> = self.lock().values().cloned().collect();
        for lane in open {
            lane.finish(false);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Arc<Lane>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a lane needs of its agent.
#[derive(Clone, Debug)]
pub struct LaneContext {
    /// Where frames go.
    pub inbox: Arc<Inbox>,
    /// Where the lane is found by JavaScript.
    pub lanes: Arc<Lanes>,
    /// The largest payload that this process takes.
    pub max_payload: usize,
    /// What lanes may hold.
    pub budget: Arc<Budget>,
    /// What goes over them.
    pub traffic: Arc<Traffic>,
    /// Who reads them.
    pub read_by: ReadBy,
    /// Out of which large frames are granted, on all connections.
    pub receive: ReceiveBudget,
}
