//! One direction of a lane through shared memory: a ring of words with one writer and one reader. No I/O.
//!
//! What is in a ring are records: a number, a length in bytes, and so many bytes. The writer makes a whole record visible
//! at once: one that is killed in the middle of it leaves nothing behind.
//!
//! A ring is used only while its reader is *awake*, which is to say that it will look into the ring before it goes to sleep.
//! Who writes a record and finds the reader asleep after that has to wake it; who wants to sleep looks once more after it has
//! said so. One of the two sees what the other one has done: both have a fence between what they write and what they read.
//!
//! A writer that is given up takes back what was not taken: it says so, and sees after that how far the reader is; a reader
//! that has taken a record looks, after it has said so, whether it was taken back. So a record may be lost to both of them, and is
//! never both taken and taken back.
//!
//! Both processes can write all of the memory at any time. So each end keeps its own position to itself, takes only the
//! other end's from the memory, and checks that; what a record says is believed no more than what comes on a socket.
//!
//! `loom/` has this file as a module of its own, with other atomics: all orders in which two threads can see each other's
//! writes are tried there.

use super::atomics::{fence, AtomicU32, AtomicU64, Ordering};

/// Words of a record before its bytes: its number, and its length.
const HEAD: u32 = 2;
/// Words of what its bytes begin with.
const BEGIN: u32 = 2;
const WORD: usize = 8;

/// How far both ends are, in words since the beginning; they wrap around. Each on a cache line of its own, for it is
/// written by one processor while the other one reads the next.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Positions {
    written: Apart,
    read: Apart,
    awake: Apart,
    revoked: Apart,
}

#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Apart(AtomicU32);

/// The memory of a ring, as both ends see it. `words` are a power of two.
#[derive(Clone, Copy, Debug)]
pub struct Ring<'m> {
    positions: &'m Positions,
    words: &'m [AtomicU64],
}

impl<'m> Ring<'m> {
    /// A ring of that memory, all of which was zero in the beginning.
    #[must_use]
    pub fn new(positions: &'m Positions, words: &'m [AtomicU64]) -> Self {
        debug_assert!(words.len().is_power_of_two());
        Self { positions, words }
    }

    fn capacity(self) -> u32 {
        u32::try_from(self.words.len()).unwrap_or(0)
    }

    fn word(self, position: u32) -> &'m AtomicU64 {
        &self.words[position as usize & (self.words.len() - 1)]
    }

    /// The words from `position` on that `bytes` take, at most all of them: up to the end of the memory, and from its
    /// beginning.
    fn words(self, position: u32, bytes: usize) -> [&'m [AtomicU64]; 2] {
        let (before, from) = self.words.split_at(position as usize & (self.words.len() - 1));
        let count = bytes.div_ceil(WORD);
        let to_the_end = count.min(from.len());
        [&from[..to_the_end], &before[..(count - to_the_end).min(before.len())]]
    }

    fn write(self, position: u32, bytes: &[u8]) {
        let [first, second] = self.words(position, bytes.len());
        let (here, there) = bytes.split_at(bytes.len().min(first.len() * WORD));
        for (words, bytes) in [(first, here), (second, there)] {
            let whole = bytes.chunks_exact(WORD);
            let rest = whole.remainder();
            for (word, bytes) in words.iter().zip(whole) {
                word.store(number(bytes), Ordering::Relaxed);
            }
            if let (Some(last), false) = (words.last(), rest.is_empty()) {
                last.store(number(rest), Ordering::Relaxed);
            }
        }
    }

    fn read(self, position: u32, bytes: &mut [u8]) {
        let [first, second] = self.words(position, bytes.len());
        let (here, there) = bytes.split_at_mut(bytes.len().min(first.len() * WORD));
        for (words, bytes) in [(first, here), (second, there)] {
            for (word, bytes) in words.iter().zip(bytes.chunks_mut(WORD)) {
                let word = word.load(Ordering::Relaxed).to_ne_bytes();
                bytes.copy_from_slice(&word[..bytes.len()]);
            }
        }
    }
}

/// At most eight bytes as one word.
fn number(bytes: &[u8]) -> u64 {
    let mut word = [0; WORD];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}

/// What came of writing a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the ring, and the reader will look.
    Yes,
    /// It is in the ring; the reader may have gone to sleep, and has to be woken.
    Unseen,
    /// The reader sleeps, or there is no room.
    No,
}

/// The memory has something that a writer never writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// The end that writes.
#[derive(Debug, Default)]
pub struct Writer {
    written: u32,
}

impl Writer {
    /// Writes a record of `head` and `payload`, if the reader is awake and there is room.
    pub fn push(
        &mut self,
        ring: Ring<'_>,
        number: u64,
        head: [u8; BEGIN as usize * WORD],
        payload: &[u8],
    ) -> Pushed {
        let length = head.len() + payload.len();
        let used = self.written.wrapping_sub(ring.positions.read.0.load(Ordering::Acquire));
        let free = ring.capacity().saturating_sub(used);
        let needed =
            u32::try_from(length.div_ceil(WORD)).map_or(u32::MAX, |words| words.saturating_add(HEAD));
        if needed > free || ring.positions.awake.0.load(Ordering::Relaxed) == 0 {
            return Pushed::No;
        }
        let at = |words: u32| self.written.wrapping_add(words);
        ring.word(at(0)).store(number, Ordering::Relaxed);
        ring.word(at(1)).store(length as u64, Ordering::Relaxed);
        ring.write(at(HEAD), &head);
        ring.write(at(HEAD + BEGIN), payload);
        self.written = at(needed);
        ring.positions.written.0.store(self.written, Ordering::Release);
        fence(Ordering::SeqCst);
        if ring.positions.awake.0.load(Ordering::Relaxed) == 0 {
            Pushed::Unseen
        } else {
            Pushed::Yes
        }
    }

    /// Takes back what the reader has not taken: from now on it takes nothing. The number of the first of these records, as
    /// the memory has it.
    #[must_use]
    pub fn revoke(&self, ring: Ring<'_>) -> Option<u64> {
        ring.positions.revoked.0.store(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let read = ring.positions.read.0.load(Ordering::Acquire);
        let unread = self.written.wrapping_sub(read);
        (unread > 0 && unread <= ring.capacity()).then(|| ring.word(read).load(Ordering::Relaxed))
    }
}

/// The end that reads.
#[derive(Debug, Default)]
pub struct Reader {
    read: u32,
    /// Up to where it has looked.
    seen: u32,
}

impl Reader {
    /// Whether there is a record that is to be taken before any of a higher number. Costs no more than a look into the
    /// memory.
    #[must_use]
    pub fn has(&self, ring: Ring<'_>, number: u64) -> bool {
        ring.positions.written.0.load(Ordering::Acquire) != self.read
            && ring.positions.revoked.0.load(Ordering::Relaxed) == 0
            && ring.word(self.read).load(Ordering::Relaxed) <= number
    }

    /// Looks at what is there now: [`Self::take`] takes nothing that comes later.
    ///
    /// # Errors
    /// When no writer has written it so.
    pub fn look(&mut self, ring: Ring<'_>) -> Result<(), Corrupt> {
        let written = ring.positions.written.0.load(Ordering::Acquire);
        if written.wrapping_sub(self.read) > ring.capacity() {
            return Err(Corrupt);
        }
        self.seen = written;
        Ok(())
    }

    /// The bytes of the next record, if it is the one of that number, and was not taken back.
    ///
    /// # Errors
    /// When no writer has written it so.
    pub fn take(&mut self, ring: Ring<'_>, number: u64) -> Result<Option<Vec<u8>>, Corrupt> {
        let there = self.seen.wrapping_sub(self.read);
        if there == 0 {
            return Ok(None);
        }
        let Some(there) = there.checked_sub(HEAD) else { return Err(Corrupt) };
        let is = ring.word(self.read).load(Ordering::Relaxed);
        if is != number {
            // Those before it are on their way on the socket.
            return if is > number { Ok(None) } else { Err(Corrupt) };
        }
        // Read once: what was checked is what is used.
        let length = ring.word(self.read.wrapping_add(1)).load(Ordering::Relaxed);
        let Some(length) =
            usize::try_from(length).ok().filter(|length| length.div_ceil(WORD) <= there as usize)
        else {
            return Err(Corrupt);
        };
        let mut bytes = vec![0; length];
        ring.read(self.read.wrapping_add(HEAD), &mut bytes);
        self.read =
            self.read.wrapping_add(HEAD).wrapping_add(u32::try_from(length.div_ceil(WORD)).unwrap_or(0));
        ring.positions.read.0.store(self.read, Ordering::Release);
        fence(Ordering::SeqCst);
        let is_ours = ring.positions.revoked.0.load(Ordering::Relaxed) == 0;
        Ok(is_ours.then_some(bytes))
    }

    /// Says that this end will look before it sleeps.
    pub fn wake(ring: Ring<'_>) {
        ring.positions.awake.0.store(1, Ordering::Relaxed);
    }

    /// Says that this end sleeps; `true` when it must not, because the record of that number has come.
    #[must_use]
    pub fn sleep(&self, ring: Ring<'_>, number: u64) -> bool {
        ring.positions.awake.0.store(0, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.has(ring, number)
    }
}
