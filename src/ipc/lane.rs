//! The call lane: carries batches of calls and replies between the event loops of two members.
//!
//! This is the one place that decides how. Here a batch is written from the JavaScript thread if the socket takes it
//! at once (Unix), and otherwise by a task of the agent's thread; a task of that thread reads, into the inbox with its
//! one coalesced wake-up. Order per lane holds on either path: the task writes only while the queue is not empty, and
//! the JavaScript thread only while it is.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU32, Ordering};
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
    #[cfg(unix)]
    direct: std::os::fd::OwnedFd,
}

#[derive(Debug, Default)]
struct State {
    /// What could not be written at once.
    queue: VecDeque<Chunk>,
    /// The writer task holds a chunk that is not in the queue any more.
    writing: bool,
    /// Frames given to [`Lane::send`].
    sent: u64,
    /// Frames handed to the operating system whole.
    written: u64,
    /// Frames of the other end that JavaScript has taken.
    accepted: u64,
    /// The last word was said: no later frame is ever taken, also when the lane is closed by now.
    last_word_said: bool,
    phase: Phase,
}

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    from: usize,
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
    fn new(epoch: Epoch, stream: &Stream) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        #[cfg(not(unix))]
        let _ = stream;
        Ok(Self {
            id: LaneId(NEXT.fetch_add(1, Ordering::Relaxed)),
            epoch,
            state: Mutex::default(),
            queued: Notify::new(),
            #[cfg(unix)]
            direct: duplicate(stream)?,
        })
    }

    /// Sends a batch; returns its number on this lane, counted from 1, or `None` when the lane is closed.
    /// Called on the JavaScript thread; never waits.
    pub fn send(&self, kind: Kind, codec: Codec, payload: &[u8]) -> Option<u64> {
        let mut state = self.state();
        if state.phase != Phase::Open {
            return None;
        }
        self.enqueue(&mut state, kind, codec, payload);
        Some(state.sent)
    }

    fn enqueue(&self, state: &mut State, kind: Kind, codec: Codec, payload: &[u8]) {
        let mut bytes = Vec::new();
        frame::encode(&mut bytes, kind, codec, self.epoch, payload);
        state.sent += 1;
        let from = if state.queue.is_empty() && !state.writing { self.write_now(&bytes) } else { 0 };
        if from == bytes.len() {
            state.written += 1;
            return;
        }
        state.queue.push_back(Chunk { bytes, from });
        self.queued.notify_one();
    }

    /// Writes what the socket takes at once. An error is not reported here: the reader meets it, after it has read
    /// what the other end had sent before.
    #[cfg(unix)]
    fn write_now(&self, bytes: &[u8]) -> usize {
        use rustix::net::SendFlags;
        #[cfg(target_os = "linux")]
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        // Node ignores SIGPIPE where the flag is missing.
        #[cfg(not(target_os = "linux"))]
        let flags = SendFlags::DONTWAIT;
        rustix::net::send(&self.direct, bytes, flags).unwrap_or(0)
    }

    #[cfg(not(unix))]
    fn write_now(&self, _bytes: &[u8]) -> usize {
        0
    }

    /// Counts a frame that JavaScript takes; `false` when it must not be taken any more.
    pub(crate) fn count_accepted(&self) -> bool {
        let mut state = self.state();
        let may = !state.last_word_said;
        state.accepted += u64::from(may);
        may
    }

    /// Says the last word: which frames were accepted. Those that JavaScript has not taken yet were not.
    pub fn finish(&self, inbox: &Inbox) {
        inbox.while_untouched(|| {
            let mut state = self.state();
            if state.phase != Phase::Open {
                return;
            }
            state.phase = Phase::Finishing;
            state.last_word_said = true;
            let last = Final { accepted: state.accepted };
            self.enqueue(&mut state, Kind::Final, Codec::Text, &last.to_bytes());
            self.queued.notify_one();
        });
    }

    fn close(&self) -> u64 {
        let mut state = self.state();
        state.phase = Phase::Closed;
        state.queue.clear();
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

    /// Says the last word on every lane.
    pub fn finish(&self, inbox: &Inbox) {
        let open: Vec<_> = self.lock().values().cloned().collect();
        for lane in open {
            lane.finish(inbox);
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
}

/// A lane that is open to JavaScript and has to be run.
#[derive(Debug)]
pub struct OpenLane {
    /// The end that JavaScript sees.
    pub lane: Arc<Lane>,
    stream: Stream,
    reader: FrameReader,
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
    let lane = Arc::new(Lane::new(epoch, &stream)?);
    reader.set_limit(context.max_payload.saturating_add(BATCH_ROOM));
    context.lanes.lock().insert(lane.id.0, Arc::clone(&lane));
    context.inbox.tell(Notice::LaneOpen {
        lane: lane.id,
        epoch,
        peer: peer.id,
        calls_us: peer.calls_us,
        max_payload: peer.max_payload,
    });
    Ok(OpenLane { lane, stream, reader, context: context.clone() })
}

impl OpenLane {
    /// Carries frames until either end closes; what has arrived is read to its end first. JavaScript is told at the
    /// end, also when this is cancelled.
    ///
    /// # Errors
    /// What ended it, unless the other end just closed.
    pub async fn run(mut self) -> Result<()> {
        let mut closing =
            Closing { lane: Arc::clone(&self.lane), context: self.context.clone(), accepted: None };
        let Self { lane, stream, reader, context } = &mut self;
        let read = read(stream, reader, lane, &context.inbox, &mut closing.accepted);
        let write = write(stream, lane);
        tokio::pin!(read, write);
        tokio::select! {
            outcome = &mut read => outcome,
            outcome = &mut write => match outcome {
                // Our last word is out.
                Ok(()) => Ok(()),
                // The other end has gone; what it sent before is still to be read.
                Err(_) => read.await,
            },
        }
    }
}

/// Tells JavaScript that a lane has ended, however it ended.
struct Closing {
    lane: Arc<Lane>,
    context: LaneContext,
    accepted: Option<u64>,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let written = self.lane.close();
        self.context.lanes.lock().remove(&self.lane.id.0);
        self.context.inbox.tell(Notice::LaneClosed { lane: self.lane.id, written, accepted: self.accepted });
    }
}

async fn read(
    stream: &Stream,
    reader: &mut FrameReader,
    lane: &Arc<Lane>,
    inbox: &Inbox,
    accepted: &mut Option<u64>,
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
            }
            Kind::Final => {
                let last: Final = serde_json::from_slice(&frame.payload)
                    .map_err(|error| AgentError::BadFrame(error.to_string()))?;
                *accepted = Some(last.accepted);
            }
            Kind::Control => return Err(AgentError::BadFrame("a control message on a call lane".into())),
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
                let rest = &chunk.bytes[chunk.from..];
                if phase == Phase::Finishing {
                    let written = tokio::time::timeout(FLUSH, stream.write_all(rest)).await;
                    written.map_err(|_| AgentError::Disconnected)??;
                } else {
                    stream.write_all(rest).await?;
                }
                let mut state = lane.state();
                state.written += 1;
            }
            (None, Phase::Open) => lane.queued.notified().await,
            (None, Phase::Finishing | Phase::Closed) => return Ok(()),
        }
    }
}
