//! The memory that both ends of a lane share: two rings, one each way. Linux: a file without a name, handed over as a
//! descriptor on the lane's own socket.

use std::io::{Error, IoSlice, IoSliceMut, Result};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{null_mut, NonNull};

use rustix::fs::{fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create, MemfdFlags, SealFlags};
use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage,
};

use super::atomics::AtomicU64;
use super::ring::{Positions, Ring};
use crate::ipc::direct::SEND;

/// Words of each ring: 16 KiB, so that what both ends work on stays in a processor's cache.
const WORDS: usize = 2048;
/// It keeps the size that was checked: memory that is taken away would end a process that reads it.
const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

#[repr(C)]
struct Layout {
    calls: Positions,
    replies: Positions,
    call_words: [AtomicU64; WORDS],
    reply_words: [AtomicU64; WORDS],
}

const SIZE: usize = size_of::<Layout>();

/// See the module.
#[derive(Debug)]
pub struct Memory(NonNull<Layout>);

// SAFETY: all of it are atomics, and it is unmapped when nobody has it any more.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// New memory, and the descriptor by which another process gets at it.
    ///
    /// # Errors
    /// When the operating system has none, or does not let us.
    pub fn create() -> Result<(Self, OwnedFd)> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        // Linux from 6.3 on complains of a file that could be executed, or refuses it; before, it doesn't know the flag.
        let file = memfd_create("process-agent", flags | MemfdFlags::NOEXEC_SEAL)
            .or_else(|_| memfd_create("process-agent", flags))?;
        ftruncate(&file, SIZE as u64)?;
        fcntl_add_seals(&file, SEALS)?;
        Ok((Self::map(file.as_fd())?, file))
    }

    /// The memory that another process has made, if it is what that claims.
    ///
    /// # Errors
    /// When it is not.
    pub fn open(file: &OwnedFd) -> Result<Self> {
        let size = fstat(file)?.st_size;
        if usize::try_from(size) != Ok(SIZE) || !fcntl_get_seals(file)?.contains(SEALS) {
            return Err(Error::other(format!("{size} bytes, or not sealed")));
        }
        Self::map(file.as_fd())
    }

    fn map(file: BorrowedFd<'_>) -> Result<Self> {
        // SAFETY: a new mapping, of a file that has this size for ever.
        let memory =
            unsafe { mmap(null_mut(), SIZE, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, file, 0)? };
        NonNull::new(memory.cast()).map(Self).ok_or_else(|| Error::other("mapped to nothing"))
    }

    /// The ring from the end that makes calls to the primary.
    #[must_use]
    pub fn calls(&self) -> Ring<'_> {
        let layout = self.layout();
        Ring::new(&layout.calls, &layout.call_words)
    }

    /// The ring from the primary to the end that makes calls.
    #[must_use]
    pub fn replies(&self) -> Ring<'_> {
        let layout = self.layout();
        Ring::new(&layout.replies, &layout.reply_words)
    }

    fn layout(&self) -> &Layout {
        // SAFETY: it is mapped as long as `self` lives; page boundaries suit it, any bytes are atomics, and no other
        // reference is ever made. The other process writes through atomics as well, or breaks nothing but its own words.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: it was mapped with this size, and no reference is left.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), SIZE) };
    }
}

/// Sends a few bytes, and with them a descriptor; `false` when the socket doesn't take them at once.
#[must_use]
pub fn send_with(socket: &impl AsFd, bytes: &[u8], file: &OwnedFd) -> bool {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let files = [file.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&files))
        && sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, SEND) == Ok(bytes.len())
}

/// Receives without waiting, and with it a descriptor, if one has come.
///
/// # Errors
/// As receiving has.
pub fn receive_with(socket: &impl AsFd, bytes: &mut [u8]) -> rustix::io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(socket, &mut [IoSliceMut::new(bytes)], &mut ancillary, flags)?;
    let mut files = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let file = files.next();
    Ok((received.bytes, file))
}
