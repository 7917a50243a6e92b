//! A connection between two members: a local socket that carries frames, and whose other end is known to be this
//! user's.

use std::path::Path;
use std::time::Duration;

use interprocess::local_socket::tokio::{prelude::*, Listener, Stream};
use interprocess::local_socket::{GenericFilePath, ListenerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::error::{AgentError, Result};
use crate::ipc::direct::Direct;
use crate::ipc::flow::budget::Permit;
use crate::ipc::flow::signs::Signs;
use crate::ipc::flow::{GRANTS, SMALL};
use crate::ipc::frame::{Frame, FrameReader, Kind};
use crate::ipc::message::Message;
use crate::role::user::User;
use crate::role::Epoch;

/// The largest control message, a welcome for one, which tells of all members; and what a frame may have over the largest
/// payload.
const CONTROL_LIMIT: usize = 1024 * 1024;
/// How long a handshake may take, each step.
pub const HANDSHAKE: Duration = Duration::from_secs(2);

/// Listens at `address`. Only the holder of the group's lock may: whatever file is there is stale, and is removed.
///
/// # Errors
/// [`AgentError::Listen`] when the operating system refuses.
pub fn listen(address: &Path) -> Result<Listener> {
    let failed = |source| AgentError::Listen { address: address.display().to_string(), source };
    #[cfg(unix)]
    match std::fs::remove_file(address) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let name = address.to_fs_name::<GenericFilePath>().map_err(failed)?;
    // Not unlinked on drop: by then the next primary's socket may be there.
    let listener = ListenerOptions::new().name(name).reclaim_name(false).create_tokio().map_err(failed)?;
    #[cfg(target_os = "linux")]
    crate::role::file::give_socket_to_owner_of_folder(address).map_err(failed)?;
    Ok(listener)
}

/// A connection, before or after its handshake.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    reader: FrameReader,
}

impl Connection {
    /// Connects to the primary's socket, of a group of `user`'s.
    ///
    /// # Errors
    /// When nobody listens, or somebody of another user does.
    pub async fn connect(address: &Path, user: User) -> Result<Self> {
        let name = address.to_fs_name::<GenericFilePath>()?;
        let stream = timeout(HANDSHAKE, Stream::connect(name)).await.map_err(|_| no_answer())??;
        if let Some(error) = foreigner(&stream, user) {
            return Err(error);
        }
        Ok(Self { stream, reader: FrameReader::new(CONTROL_LIMIT) })
    }

    /// Takes a connection that was accepted, in a group of `user`'s.
    ///
    /// # Errors
    /// [`AgentError::ForeignUser`] when another user's process is at the other end.
    pub fn accepted(stream: Stream, user: User) -> Result<Self> {
        if let Some(error) = foreigner(&stream, user) {
            return Err(error);
        }
        // A hello is short.
        Ok(Self { stream, reader: FrameReader::new(SMALL) })
    }

    /// The next frame. Safe to cancel.
    ///
    /// # Errors
    /// [`AgentError::Disconnected`] at the end, [`AgentError::BadFrame`] for bytes that are no frame.
    pub async fn next(&mut self) -> Result<Frame> {
        match next_frame(&self.stream, &mut self.reader, |_, _| {}).await? {
            Arrived::Frame(frame) => Ok(frame),
            Arrived::Large(_) | Arrived::End => Err(AgentError::Disconnected),
        }
    }

    /// The next message of a handshake.
    ///
    /// # Errors
    /// As [`Self::next`], and [`AgentError::NoAnswer`] when none comes in time.
    pub async fn next_message(&mut self) -> Result<Message> {
        let frame = timeout(HANDSHAKE, self.next()).await.map_err(|_| no_answer())??;
        Message::from_frame(&frame)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send(&mut self, message: &Message, epoch: Epoch) -> Result<()> {
        self.send_bytes(&message.to_bytes(epoch)).await
    }

    /// Sends frames that are encoded already.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok((&self.stream).write_all(bytes).await?)
    }

    /// What frames are taken, once the other end is known. Returns the largest payload, with a parcel's head, of frames that
    /// come whole or in chunks.
    pub fn agree(&mut self, protocol: u32, max_payload: usize) -> usize {
        let most = max_payload.saturating_add(CONTROL_LIMIT);
        self.reader.set_limit(if protocol >= GRANTS { SMALL } else { most });
        self.reader.set_gate(SMALL);
        most
    }

    /// Its socket for another thread, where there can be one.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    pub fn direct(&self) -> Result<Option<Direct>> {
        Direct::of(&self.stream).transpose()
    }

    /// Both directions, to be used at the same time: who writes must go on reading, or two ends that have much to say
    /// wait for each other.
    pub fn halves(&mut self) -> (Incoming<'_>, Outward<'_>) {
        (Incoming { stream: &self.stream, reader: &mut self.reader }, Outward(&self.stream))
    }

    /// Hands the connection over to a call lane, with what was read beyond the handshake.
    #[must_use]
    pub fn into_parts(self) -> (Stream, FrameReader) {
        (self.stream, self.reader)
    }
}

/// What comes in.
#[derive(Debug)]
pub struct Incoming<'a> {
    stream: &'a Stream,
    reader: &'a mut FrameReader,
}

/// What has arrived.
#[derive(Debug)]
pub enum Arrived {
    /// A frame.
    Frame(Frame),
    /// The beginning of a frame whose payload, of that length, waits for a permit.
    Large(usize),
    /// The end of the stream.
    End,
}

impl Incoming<'_> {
    /// What arrives next; `signs` tell of all bytes. Safe to cancel.
    ///
    /// # Errors
    /// As [`Connection::next`].
    pub async fn next(&mut self, signs: &Signs) -> Result<Arrived> {
        let note = |reader: &FrameReader, bytes| {
            signs.note_control();
            if reader.begun() == Some(Kind::Chunk) {
                signs.note_chunk(bytes);
            }
        };
        next_frame(self.stream, self.reader, note).await
    }

    /// A large frame may be read on.
    pub fn grant(&mut self, permit: Permit) {
        self.reader.grant(permit);
    }
}

/// What goes out.
#[derive(Clone, Copy, Debug)]
pub struct Outward<'a>(&'a Stream);

impl Outward<'_> {
    /// Writes all of it, and tells `moved` whenever the socket has taken a part.
    ///
    /// # Errors
    /// When the connection is broken.
    pub async fn send(self, bytes: &[u8], moved: impl Fn()) -> Result<()> {
        let (mut stream, mut rest) = (self.0, bytes);
        while !rest.is_empty() {
            let count = stream.write(rest).await?;
            if count == 0 {
                return Err(AgentError::Disconnected);
            }
            rest = &rest[count..];
            moved();
        }
        Ok(())
    }
}

/// The next frame of a stream. `note` is told how many bytes were read, with the reader that has them. Safe to cancel.
///
/// # Errors
/// [`AgentError::BadFrame`], or an error of the operating system's.
pub async fn next_frame(
    stream: &Stream,
    reader: &mut FrameReader,
    note: impl Fn(&FrameReader, usize),
) -> Result<Arrived> {
    loop {
        if let Some(frame) = reader.next_frame()? {
            return Ok(Arrived::Frame(frame));
        }
        if let Some(length) = reader.wants() {
            return Ok(Arrived::Large(length));
        }
        let mut stream = stream;
        let count = stream.read_buf(reader.space()).await?;
        if count == 0 {
            return Ok(Arrived::End);
        }
        note(reader, count);
    }
}

fn no_answer() -> AgentError {
    AgentError::NoAnswer(crate::time::millis(HANDSHAKE))
}

/// Why the other end is not to be trusted: another user's process is there.
///
/// # Platform-specific behaviour
/// Windows: nothing to check; a pipe's default access list lets only its owner and administrators write.
#[cfg(unix)]
fn foreigner(stream: &Stream, user: User) -> Option<AgentError> {
    match stream.peer_creds().map(|credentials| credentials.euid()) {
        Ok(Some(peer)) if user.trusts(peer) => None,
        Ok(peer) => Some(AgentError::ForeignUser { peer: peer.unwrap_or(u32::MAX), own: user.id() }),
        Err(error) => Some(error.into()),
    }
}

#[cfg(not(unix))]
fn foreigner(_stream: &Stream, _user: User) -> Option<AgentError> {
    None
}
