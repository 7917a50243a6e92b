//! What waits to be written to a member's control connection, bounded in number and in bytes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

/// How many messages may wait for a member that doesn't read.
const MESSAGES: usize = 65_536;
/// How many bytes are written at once, when there is more than one message.
const BATCH: usize = 256 * 1024;

/// The end that puts in.
#[derive(Clone, Debug)]
pub struct Outbox {
    queue: mpsc::Sender<Bytes>,
    bytes: Arc<AtomicUsize>,
    taken: Arc<AtomicU64>,
    most: usize,
}

/// The end that takes out.
#[derive(Debug)]
pub struct Outgoing {
    queue: mpsc::Receiver<Bytes>,
    bytes: Arc<AtomicUsize>,
    taken: Arc<AtomicU64>,
}

/// The end that puts in, without keeping the outbox open.
#[derive(Clone, Debug)]
pub struct WeakOutbox {
    queue: mpsc::WeakSender<Bytes>,
    bytes: Arc<AtomicUsize>,
}

/// Why a message was not put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no room: the member doesn't read.
    Full,
    /// Nobody takes out any more: the member's connection has ended.
    Closed,
}

/// A new outbox, in which `most` bytes may wait, beside one message that is larger by itself.
#[must_use]
pub fn outbox(most: usize) -> (Outbox, Outgoing) {
    let (sender, receiver) = mpsc::channel(MESSAGES);
    let (bytes, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let outgoing = Outgoing { queue: receiver, bytes: Arc::clone(&bytes), taken: Arc::clone(&taken) };
    (Outbox { queue: sender, bytes, taken, most }, outgoing)
}

impl Outbox {
    /// Puts a message in. Never waits.
    ///
    /// # Errors
    /// [`Refused`], with the reason.
    pub fn try_send(&self, message: Bytes) -> Result<(), Refused> {
        // First: what waited when the connection ended is never taken out.
        if self.queue.is_closed() {
            return Err(Refused::Closed);
        }
        let size = message.len();
        let waiting = self.bytes.fetch_add(size, Ordering::Relaxed);
        let sent = if waiting > 0 && waiting + size > self.most {
            Err(Refused::Full)
        } else {
            self.queue.try_send(message).map_err(|error| match error {
                TrySendError::Full(_) => Refused::Full,
                TrySendError::Closed(_) => Refused::Closed,
            })
        };
        if sent.is_err() {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
        sent
    }
}

impl Outbox {
    /// Whether a message of that size would find room.
    #[must_use]
    pub fn has_room(&self, size: usize) -> bool {
        let (waiting, _) = self.progress();
        waiting == 0 || waiting + size <= self.most
    }

    /// How many bytes wait, and how many were taken out, all in all: that changes as long as the member reads.
    #[must_use]
    pub fn progress(&self) -> (usize, u64) {
        (self.bytes.load(Ordering::Relaxed), self.taken.load(Ordering::Relaxed))
    }

    /// The same outbox, for one who must not keep it open.
    #[must_use]
    pub fn downgrade(&self) -> WeakOutbox {
        WeakOutbox { queue: self.queue.downgrade(), bytes: Arc::clone(&self.bytes) }
    }
}

impl WeakOutbox {
    /// Puts in what `message` makes, when nothing else waits.
    pub fn send_if_idle(&self, message: impl FnOnce() -> Bytes) {
        if self.bytes.load(Ordering::Relaxed) == 0 {
            if let Some(queue) = self.queue.upgrade() {
                let message = message();
                let size = message.len();
                self.bytes.fetch_add(size, Ordering::Relaxed);
                if queue.try_send(message).is_err() {
                    // No room: somebody was quicker.
                    self.bytes.fetch_sub(size, Ordering::Relaxed);
                }
            }
        }
    }
}

impl Outgoing {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The next messages, as one piece of bytes; `None` when nobody puts in any more. Safe to cancel.
    pub async fn next(&mut self) -> Option<Bytes> {
        let first = self.queue.recv().await?;
        self.count(first.len());
        let mut batch: Option<Vec<u8>> = None;
        let mut size = first.len();
        while size < BATCH {
            let Ok(message) = self.queue.try_recv() else { break };
            self.count(message.len());
            size += message.len();
            batch.get_or_insert_with(|| first.to_vec()).extend_from_slice(&message);
        }
        Some(batch.map_or(first, Bytes::from))
    }

    fn count(&self, size: usize) {
        self.bytes.fetch_sub(size, Ordering::Relaxed);
        self.taken.fetch_add(size as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: usize = 1024;

    #[tokio::test]
    async fn messages_come_out_together_and_in_order() {
        let (outbox, mut outgoing) = outbox(BYTES);
        for message in [&b"a"[..], b"bc", b"d"] {
            assert!(outbox.try_send(Bytes::from_static(message)).is_ok());
        }
        assert_eq!(outgoing.next().await, Some(Bytes::from_static(b"abcd")));
        drop(outbox);
        assert_eq!(outgoing.next().await, None);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_and_what_is_taken_makes_room() {
        let (outbox, mut outgoing) = outbox(BYTES);
        let large = Bytes::from(vec![0; BYTES / 2 + 1]);
        assert_eq!(outbox.try_send(large.clone()), Ok(()));
        assert_eq!(outbox.try_send(large.clone()), Err(Refused::Full));
        assert!(outgoing.next().await.is_some());
        assert_eq!(outbox.try_send(large), Ok(()));
    }

    #[tokio::test]
    async fn one_message_that_is_larger_than_the_bound_passes_alone() {
        let (outbox, _outgoing) = outbox(BYTES);
        assert_eq!(outbox.try_send(Bytes::from(vec![0; BYTES + 1])), Ok(()));
        assert_eq!(outbox.try_send(Bytes::from_static(b"x")), Err(Refused::Full));
    }

    #[tokio::test]
    async fn an_outbox_that_nobody_empties_any_more_is_closed_and_not_full() {
        let (outbox, outgoing) = outbox(BYTES);
        assert_eq!(outbox.try_send(Bytes::from(vec![0; BYTES])), Ok(()));
        assert_eq!(outbox.try_send(Bytes::from_static(b"x")), Err(Refused::Full));
        drop(outgoing);
        assert_eq!(outbox.try_send(Bytes::from_static(b"x")), Err(Refused::Closed));
    }
}
