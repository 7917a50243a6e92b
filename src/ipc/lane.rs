//! The call lane: carries batches of calls and replies between the event loops of two members.
//!
//! This is the one place that decides how. Here a batch is written from the JavaScript thread if the socket takes it
//! at once (Unix), and otherwise by a task of the agent's thread; a task of that thread reads, into the inbox with its
//! one coalesced wake-up. Order per lane holds on either path: the task writes only while the queue is not empty, and
//! the JavaScript thread only while it is.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use serde::Serialize;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use crate::error::{AgentError, Result};
use crate::inbox::{Inbox, Notice};
use crate::ipc::connection::next_frame;
use crate::ipc::frame::{self, Codec, FrameReader, Kind};
use crate::ipc::message::Final;
use crate::role::{Epoch, MemberId};

/// What a batch may have over the largest payload of one call.
const BATCH_ROOM: usize = 2 * 1024 * 1024;
/// While so many bytes of replies wait to be written to a caller, no more calls are read from it. The caller's end always
/// reads: two ends that wait for each other to read would wait for ever.
const PAUSE_READING: usize = 16 * 1024 * 1024;
/// How long a lane that has said its last word goes on writing.
const FLUSH: Duration = Duration::from_millis(500);

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
    state: Mutex<State>,
    queued: Notify,
    written: Notify,
    budget: Arc<Budget>,
    #[cfg(unix)]
    direct: std::os::fd::OwnedFd,
}

#[derive(Debug, Default)]
struct State {
    /// What could not be written at once.
    queue: VecDeque<Chunk>,
    /// The bytes of it that are not written yet.
    unwritten: usize,
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
}

/// What is left of a frame.
type Chunk = Vec<u8>;

/// How many bytes the lanes of an agent may hold for ends that don't read.
#[derive(Debug)]
pub struct Budget {
    most: usize,
    held: AtomicUsize,
}

impl Budget {
    /// A budget of `most` bytes for all lanes together, and of half of it for each.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, held: AtomicUsize::new(0) }
    }

    /// How many bytes may be held for all ends together.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    fn has_room(&self, unwritten: usize, more: usize) -> bool {
        // What is larger by itself passes alone: its own size has a limit of its own.
        unwritten == 0
            || (unwritten + more <= self.most / 2 && self.held.load(Ordering::Relaxed) + more <= self.most)
    }
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

impl Lane {
    fn new(epoch: Epoch, stream: &Stream, budget: Arc<Budget>) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        #[cfg(not(unix))]
        let _ = stream;
        Ok(Self {
            id: LaneId(NEXT.fetch_add(1, Ordering::Relaxed)),
            epoch,
            state: Mutex::default(),
            queued: Notify::new(),
            written: Notify::new(),
            budget,
            #[cfg(unix)]
            direct: duplicate(stream)?,
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
        Sent::Frame(state.sent)
    }

    fn enqueue(&self, state: &mut State, kind: Kind, codec: Codec, payload: &[u8]) {
        let header = frame::header(kind, codec, self.epoch, 0, payload.len());
        state.sent += 1;
        let written =
            if state.queue.is_empty() && !state.writing { self.write_now(&header, payload) } else { 0 };
        let whole = header.len() + payload.len();
        if written == whole {
            state.written += 1;
            return;
        }
        let mut rest = Vec::with_capacity(whole - written);
        rest.extend_from_slice(header.get(written..).unwrap_or_default());
        rest.extend_from_slice(&payload[written.saturating_sub(header.len())..]);
        state.unwritten += rest.len();
        self.budget.held.fetch_add(rest.len(), Ordering::Relaxed);
        state.queue.push_back(rest);
        self.queued.notify_one();
    }

    /// Writes what the socket takes at once. An error is not reported here: the reader meets it, after it has read
    /// what the other end had sent before.
    #[cfg(unix)]
    fn write_now(&self, header: &[u8], payload: &[u8]) -> usize {
        use rustix::net::{SendAncillaryBuffer, SendFlags};
        #[cfg(target_os = "linux")]
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        // Node ignores SIGPIPE where the flag is missing.
        #[cfg(not(target_os = "linux"))]
        let flags = SendFlags::DONTWAIT;
        let pieces = [std::io::IoSlice::new(header), std::io::IoSlice::new(payload)];
        rustix::net::sendmsg(&self.direct, &pieces, &mut SendAncillaryBuffer::default(), flags).unwrap_or(0)
    }

    #[cfg(not(unix))]
    fn write_now(&self, _header: &[u8], _payload: &[u8]) -> usize {
        0
    }

    /// Counts a frame that JavaScript is told; `false` when it must not be told any more.
    pub(crate) fn count_accepted(&self) -> bool {
        let mut state = self.state();
        let may = !state.last_word_said;
        state.accepted += u64::from(may);
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

    fn chunk_written(&self, size: usize) {
        let mut state = self.state();
        state.written += 1;
        state.unwritten = state.unwritten.saturating_sub(size);
        self.budget.held.fetch_sub(size, Ordering::Relaxed);
        self.written.notify_one();
    }

    /// Waits until the other end has read enough of what it was sent, or never will.
    async fn is_read(&self) {
        let may_read = || {
            let state = self.state();
            state.unwritten < PAUSE_READING || state.broken
        };
        while !may_read() {
            self.written.notified().await;
        }
    }

    /// Nothing can be written any more; what the other end has sent is still to be read.
    fn set_broken(&self) {
        self.state().broken = true;
        self.written.notify_one();
    }

    /// The socket ends here, for the other end too: what JavaScript has not taken yet refers to the lane, and so would keep
    /// it open as long as an event loop is stuck.
    fn close(&self) -> u64 {
        let mut state = self.state();
        state.phase = Phase::Closed;
        #[cfg(unix)]
        let _ = rustix::net::shutdown(&self.direct, rustix::net::Shutdown::Both);
        state.queue.clear();
        self.budget.held.fetch_sub(state.unwritten, Ordering::Relaxed);
        state.unwritten = 0;
        state.written
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The second descriptor of the socket, for the JavaScript thread: it stays valid as long as the lane is referred to.
#[cfg(unix)]
fn duplicate(stream: &Stream) -> Result<std::os::fd::OwnedFd> {
    use std::os::fd::AsFd;
    let Stream::UdSocket(socket) = stream;
    Ok(socket.as_fd().try_clone_to_owned()?)
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
}

/// What is known of the other end when a lane opens.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// It makes the calls, and this end is the primary.
    pub calls_us: bool,
    /// Its id in this tenure.
    pub id: MemberId,
    /// The largest payload that it takes.
    pub max_payload: usize,
    /// The protocol's version that both ends speak.
    pub protocol: u32,
}

/// A lane that is open to JavaScript and has to be run.
#[derive(Debug)]
pub struct OpenLane {
    /// The end that JavaScript sees.
    pub lane: Arc<Lane>,
    stream: Stream,
    reader: FrameReader,
    /// The other end makes the calls.
    calls_us: bool,
    context: LaneContext,
}

/// Makes a lane of a connection whose handshake is over, and tells JavaScript of it.
///
/// # Errors
/// When the process has no descriptor left.
pub fn open(
    (stream, mut reader): (Stream, FrameReader),
    epoch: Epoch,
    peer: Peer,
    context: &LaneContext,
) -> Result<OpenLane> {
    let lane = Arc::new(Lane::new(epoch, &stream, Arc::clone(&context.budget))?);
    reader.set_limit(context.max_payload.saturating_add(BATCH_ROOM));
    context.lanes.lock().insert(lane.id.0, Arc::clone(&lane));
    context.inbox.tell(Notice::LaneOpen {
        lane: lane.id,
        epoch,
        peer: peer.id,
        calls_us: peer.calls_us,
        protocol: peer.protocol,
        max_payload: peer.max_payload,
    });
    Ok(OpenLane { lane, stream, reader, calls_us: peer.calls_us, context: context.clone() })
}

impl OpenLane {
    /// Carries frames until either end closes; what has arrived is read to its end first. JavaScript is told at the
    /// end, also when this is cancelled.
    ///
    /// # Errors
    /// What ended it, unless the other end just closed.
    pub async fn run(mut self) -> Result<()> {
        let mut closing = Closing { lane: Arc::clone(&self.lane), context: self.context.clone(), last: None };
        let Self { lane, stream, reader, calls_us, context } = &mut self;
        let read = read(stream, reader, lane, *calls_us, &context.inbox, &mut closing.last);
        let write = write(stream, lane);
        tokio::pin!(read, write);
        tokio::select! {
            outcome = &mut read => outcome,
            outcome = &mut write => {
                if outcome.is_ok() {
                    // Our last word is out.
                    return Ok(());
                }
                // The other end has gone; what it sent before is still to be read.
                lane.set_broken();
                read.await
            }
        }
    }
}

/// Tells JavaScript that a lane has ended, however it ended.
struct Closing {
    lane: Arc<Lane>,
    context: LaneContext,
    last: Option<Final>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let written = self.lane.close();
        self.context.lanes.lock().remove(&self.lane.id.0);
        self.context.inbox.tell(Notice::LaneClosed {
            lane: self.lane.id,
            written,
            accepted: self.last.map(|last| last.accepted),
            relieved: self.last.is_some_and(|last| last.relieved),
        });
    }
}

async fn read(
    stream: &Stream,
    reader: &mut FrameReader,
    lane: &Arc<Lane>,
    calls_us: bool,
    inbox: &Inbox,
    last_word: &mut Option<Final>,
) -> Result<()> {
    while let Some(frame) = next_frame(stream, reader).await? {
        if frame.epoch != lane.epoch {
            return Err(AgentError::BadFrame(format!(
                "a frame of epoch {} in epoch {}",
                frame.epoch, lane.epoch
            )));
        }
        match frame.kind {
            Kind::Calls | Kind::Replies => {
                inbox.push(lane, frame);
                inbox.room().await;
                if calls_us {
                    lane.is_read().await;
                }
            }
            Kind::Final => {
                let last: Final = serde_json::from_slice(&frame.payload)
                    .map_err(|error| AgentError::BadFrame(error.to_string()))?;
                *last_word = Some(last);
            }
            Kind::Control | Kind::Parcel => {
                return Err(AgentError::BadFrame(format!("a {:?} on a call lane", frame.kind)));
            }
        }
    }
    Ok(())
}

async fn write(stream: &Stream, lane: &Lane) -> Result<()> {
    loop {
        let (chunk, phase) = {
            let mut state = lane.state();
            let chunk = state.queue.pop_front();
            state.writing = chunk.is_some();
            (chunk, state.phase)
        };
        match (chunk, phase) {
            (Some(chunk), _) => {
                let mut stream = stream;
                if phase == Phase::Finishing {
                    let written = tokio::time::timeout(FLUSH, stream.write_all(&chunk)).await;
                    written.map_err(|_| AgentError::Disconnected)??;
                } else {
                    stream.write_all(&chunk).await?;
                }
                lane.chunk_written(chunk.len());
            }
            (None, Phase::Open) => lane.queued.notified().await,
            (None, Phase::Finishing | Phase::Closed) => return Ok(()),
        }
    }
}
