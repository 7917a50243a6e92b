//! A second descriptor of the socket.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use interprocess::local_socket::tokio::Stream;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::net::{sendmsg, shutdown, sockopt, SendAncillaryBuffer, SendFlags, Shutdown};
use tokio::io::AsyncWriteExt;

use crate::error::Result;

/// Without waiting, and without SIGPIPE.
#[cfg(target_os = "linux")]
pub(in crate::ipc) const SEND: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);
/// Without waiting. Node ignores SIGPIPE where the flag is missing.
#[cfg(not(target_os = "linux"))]
const SEND: SendFlags = SendFlags::DONTWAIT;

/// What tells that the other end has gone.
#[cfg(target_os = "linux")]
const GONE: PollFlags = PollFlags::HUP.union(PollFlags::ERR).union(PollFlags::RDHUP);
/// What tells that the other end has gone.
#[cfg(not(target_os = "linux"))]
const GONE: PollFlags = PollFlags::HUP.union(PollFlags::ERR);

/// See the module. The socket stays open until this is dropped as well.
#[derive(Debug)]
pub struct Direct(OwnedFd);

impl Direct {
    /// Of a socket.
    ///
    /// # Errors
    /// When the process has no descriptor left.
    #[must_use]
    pub fn of(stream: &Stream) -> Option<Result<Self>> {
        let Stream::UdSocket(socket) = stream;
        Some(socket.as_fd().try_clone_to_owned().map(Self).map_err(Into::into))
    }

    /// Writes both parts, as far as the socket takes them at once. An error is not reported here: who reads meets it, after
    /// what the other end had sent before.
    #[must_use]
    pub fn write_now(&self, first: &[u8], second: &[u8]) -> usize {
        let pieces = [IoSlice::new(first), IoSlice::new(second)];
        sendmsg(&self.0, &pieces, &mut SendAncillaryBuffer::default(), SEND).unwrap_or(0)
    }

    /// Writes all of it. The socket is watched only meanwhile: it would tell of every read of the other end's.
    ///
    /// # Errors
    /// When the connection is broken, or the process has no descriptor left.
    pub async fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let socket = std::os::unix::net::UnixStream::from(self.0.try_clone()?);
        tokio::net::UnixStream::from_std(socket)?.write_all(bytes).await
    }

    /// Lets the system keep so many bytes that the other end has not read. Some systems refuse what is over their limit.
    pub fn make_room(&self, bytes: usize) {
        let _ = sockopt::set_socket_send_buffer_size(&self.0, bytes);
    }

    /// Nothing more is written, by any thread. It can still be read: on some systems, to end that too drops what has arrived.
    pub fn shut_down(&self) {
        let _ = shutdown(&self.0, Shutdown::Write);
    }

    /// Nothing more arrives or is written. What has arrived can still be read.
    pub fn hang_up(&self) {
        let _ = shutdown(&self.0, Shutdown::Both);
    }

    /// Whether the other end has gone: then all that it is ever going to send is in the socket.
    #[must_use]
    pub fn is_hung_up(&self) -> bool {
        self.shows(GONE)
    }

    /// Whether something has arrived that is not read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.shows(PollFlags::IN)
    }

    fn shows(&self, flags: PollFlags) -> bool {
        let mut fds = [PollFd::new(&self.0, flags)];
        let _ = poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
        fds[0].revents().intersects(flags)
    }
}

impl AsFd for Direct {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
