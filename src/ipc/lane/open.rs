//! A lane from its handshake to its end, as the agent's thread runs it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use tokio::io::AsyncWriteExt;

use super::{ControlEnd, Lane, LaneContext, Phase};
use crate::error::{AgentError, Result};
use crate::inbox::Notice;
use crate::ipc::connection::{next_frame, Arrived};
#[cfg(unix)]
use crate::ipc::direct::Direct;
use crate::ipc::flow::SMALL;
use crate::ipc::frame::{Frame, FrameReader, Kind};
use crate::ipc::message::Final;
use crate::role::{Epoch, MemberId};

/// What a batch may have over the largest payload of one call.
const BATCH_ROOM: usize = 2 * 1024 * 1024;
/// The largest payload of a frame where that of a call is `max_payload`.
#[must_use]
pub fn most(max_payload: usize) -> usize {
    max_payload.saturating_add(BATCH_ROOM)
}

/// How long a lane that has said its last word goes on writing.
const FLUSH: Duration = Duration::from_millis(500);

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
    wire: Wire,
    context: LaneContext,
}

/// What the agent's thread has of a lane's socket.
#[derive(Debug)]
enum Wire {
    /// All of it.
    Whole(Stream, FrameReader),
    /// The lane's own descriptor, to write what the event loop could not write at once: the event loop reads.
    #[cfg(unix)]
    Outward(Arc<Direct>),
}

/// Makes a lane of a connection whose handshake is over, and tells JavaScript of it.
///
/// # Errors
/// When the process has no descriptor left.
pub fn open(
    (stream, mut reader): (Stream, FrameReader),
    epoch: Epoch,
    peer: Peer,
    control: ControlEnd,
    context: &LaneContext,
) -> Result<OpenLane> {
    let lane = Arc::new(Lane::new(epoch, peer, control, &stream, context)?);
    reader.set_limit(most(context.max_payload));
    reader.set_gate(SMALL);
    let wire = match (context.read_by, &lane.direct) {
        #[cfg(unix)]
        (super::ReadBy::EventLoop, Some(direct)) => {
            lane.state().unread = Some(reader);
            // The stream itself ends here: a thread that polls what another one reads is woken for nothing.
            Wire::Outward(Arc::clone(direct))
        }
        _ => Wire::Whole(stream, reader),
    };
    context.lanes.lock().insert(lane.id.0, Arc::clone(&lane));
    context.inbox.tell(Notice::LaneOpen {
        lane: lane.id,
        epoch,
        peer: peer.id,
        calls_us: peer.calls_us,
        protocol: peer.protocol,
        max_payload: peer.max_payload,
    });
    Ok(OpenLane { lane, wire, context: context.clone() })
}

impl OpenLane {
    /// Carries frames until either end closes; what has arrived is read to its end first. JavaScript is told at the
    /// end, also when this is cancelled.
    ///
    /// # Errors
    /// What ended it, unless the other end just closed.
    pub async fn run(self) -> Result<()> {
        let Self { lane, wire, context } = self;
        let _closing = Closing { lane: Arc::clone(&lane), context: context.clone() };
        match wire {
            Wire::Whole(stream, mut reader) => {
                let read = async {
                    tokio::select! {
                        outcome = read(&stream, &mut reader, &lane, &context) => outcome,
                        refused = lane.read_to_end() => refused,
                    }
                };
                both(&lane, read, write(&lane, Out::Stream(&stream))).await
            }
            #[cfg(unix)]
            Wire::Outward(direct) => {
                let carried = both(&lane, lane.read_to_end(), write(&lane, Out::Direct(&direct)));
                tokio::select! {
                    outcome = carried => outcome,
                    () = lane.wait_for_room(&context.receive) => Ok(()),
                }
            }
        }
    }
}

async fn both(
    lane: &Lane,
    read: impl Future<Output = Result<()>>,
    write: impl Future<Output = Result<()>>,
) -> Result<()> {
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

/// Tells JavaScript that a lane has ended, however it ended.
struct Closing {
    lane: Arc<Lane>,
    context: LaneContext,
}

impl Drop for Closing {
    fn drop(&mut self) {
        let written = self.lane.close();
        let last = self.lane.last();
        self.context.lanes.lock().remove(&self.lane.id.0);
        self.context.inbox.tell(Notice::LaneClosed {
            lane: self.lane.id,
            written,
            accepted: last.map(|last| last.accepted),
            relieved: last.is_some_and(|last| last.relieved),
        });
    }
}

impl Lane {
    /// What is to be done about a frame that has arrived: `Some` when it is JavaScript's.
    pub(super) fn understand(&self, frame: Frame) -> Result<Option<Frame>> {
        if frame.epoch != self.epoch {
            return Err(AgentError::BadFrame(format!(
                "a frame of epoch {} in epoch {}",
                frame.epoch, self.epoch
            )));
        }
        match frame.kind {
            kind if kind.is_of_calls() => Ok(Some(frame)),
            Kind::Final => {
                let last: Final = serde_json::from_slice(&frame.payload)
                    .map_err(|error| AgentError::BadFrame(error.to_string()))?;
                self.state().last = Some(last);
                Ok(None)
            }
            // Who reads here without sharing memory has none to look into, and none to hand over.
            Kind::Ring => Ok(None),
            kind => Err(AgentError::BadFrame(format!("a {kind:?} on a call lane"))),
        }
    }

    /// Waits until the other end has read enough of what it was sent, or never will.
    async fn is_read(&self) {
        while !self.state().may_read() {
            self.written.notified().await;
        }
    }
}

async fn read(
    stream: &Stream,
    reader: &mut FrameReader,
    lane: &Arc<Lane>,
    LaneContext { inbox, receive, .. }: &LaneContext,
) -> Result<()> {
    let signs = &lane.control.signs;
    loop {
        match next_frame(stream, reader, |_, _| signs.note_calls()).await? {
            Arrived::End => return Ok(()),
            Arrived::Large(length) => {
                if !lane.grants {
                    signs.grant_calls(length, receive.take(length).await);
                }
                reader.grant(signs.take_granted(length)?);
            }
            Arrived::Frame(frame) => {
                if frame.payload.len() > SMALL {
                    signs.calls_settled();
                }
                if let Some(frame) = lane.understand(frame)? {
                    inbox.push(lane, frame);
                    inbox.room().await;
                    if lane.calls_us {
                        lane.is_read().await;
                    }
                }
            }
        }
    }
}

/// Where the agent's thread writes.
#[derive(Clone, Copy)]
enum Out<'a> {
    Stream(&'a Stream),
    #[cfg(unix)]
    Direct(&'a Direct),
}

impl Out<'_> {
    async fn write(self, chunk: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Stream(mut stream) => stream.write_all(chunk).await,
            #[cfg(unix)]
            Self::Direct(direct) => direct.write(chunk).await,
        }
    }
}

/// Writes what could not be written at once, until the last word is out.
async fn write(lane: &Lane, out: Out<'_>) -> Result<()> {
    loop {
        let (chunk, waits, phase) = {
            let mut state = lane.state();
            let is_large = state.queue.front().is_some_and(|chunk| chunk.is_large);
            let waits = is_large && state.granted == 0;
            let chunk = if waits { None } else { state.queue.pop_front() };
            state.granted -= usize::from(is_large && !waits);
            state.writing = chunk.is_some();
            (chunk, waits, state.phase)
        };
        match (chunk, phase) {
            (Some(chunk), _) => {
                let chunk = chunk.bytes;
                if phase == Phase::Finishing {
                    let written = tokio::time::timeout(FLUSH, out.write(&chunk)).await;
                    written.map_err(|_| AgentError::Disconnected)??;
                } else {
                    out.write(&chunk).await?;
                }
                lane.chunk_written(chunk.len());
            }
            (None, Phase::Finishing) if waits => {
                let granted = tokio::time::timeout(FLUSH, lane.queued.notified()).await;
                granted.map_err(|_| AgentError::Disconnected)?;
            }
            (None, Phase::Open) => lane.queued.notified().await,
            (None, Phase::Finishing | Phase::Closed) => return Ok(()),
        }
    }
}
