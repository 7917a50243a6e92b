//! Large frames of a control lane, put together from their chunks. No I/O: announcements, permits and chunks in, frames out.

use std::collections::VecDeque;

use bytes::Bytes;

use super::budget::Permit;
use crate::error::{AgentError, Result};
use crate::ipc::frame::{self, Frame, HEADER_LEN};

/// See the module. One for each connection.
#[derive(Debug)]
pub struct Assembly {
    /// The largest payload, with its head.
    limit: usize,
    /// What is announced and not granted.
    announced: Option<usize>,
    /// What is granted and has not arrived whole: lengths with the header, in order.
    granted: VecDeque<(usize, Permit)>,
    /// What has arrived of the first of them.
    bytes: Vec<u8>,
}

/// A large frame that has arrived whole.
#[derive(Debug)]
pub struct Assembled {
    /// The frame.
    pub frame: Frame,
    /// The part of the budget that its bytes take.
    pub permit: Permit,
}

impl Assembly {
    /// For frames whose payload, with its head, is not larger than `limit`.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, announced: None, granted: VecDeque::new(), bytes: Vec::new() }
    }

    /// A frame is announced, with the length of its payload: it waits for a grant.
    ///
    /// # Errors
    /// [`AgentError::BadFrame`] when it is too large, or needs none, or when one waits already.
    pub fn announce(&mut self, payload: usize) -> Result<()> {
        if payload > self.limit || payload <= super::SMALL || self.announced.is_some() {
            return Err(AgentError::BadFrame(format!("an announcement of {payload} bytes")));
        }
        self.announced = Some(payload);
        Ok(())
    }

    /// What is announced is granted.
    pub fn grant(&mut self, permit: Permit) {
        if let Some(payload) = self.announced.take() {
            self.granted.push_back((payload + HEADER_LEN, permit));
        }
    }

    /// A chunk has arrived: the frame, if it was the last one of it.
    ///
    /// # Errors
    /// [`AgentError::BadFrame`] when nothing is granted, or it is more than is, or the frame is none or another than was
    /// announced.
    pub fn add(&mut self, chunk: &[u8]) -> Result<Option<Assembled>> {
        let Some((whole, _)) = self.granted.front() else {
            return Err(AgentError::BadFrame("a chunk that was not granted".into()));
        };
        if chunk.is_empty() || self.bytes.len() + chunk.len() > *whole {
            return Err(AgentError::BadFrame(format!("a chunk of {} bytes", chunk.len())));
        }
        if self.bytes.is_empty() {
            // Granted, and so within the budget; the system gives pages as they are written.
            self.bytes.reserve_exact(*whole);
        }
        self.bytes.extend_from_slice(chunk);
        if self.bytes.len() < *whole {
            return Ok(None);
        }
        let bytes = Bytes::from(std::mem::take(&mut self.bytes));
        let frame = frame::whole(bytes, self.limit)?;
        let permit = self.granted.pop_front().map(|(_, permit)| permit);
        Ok(permit.map(|permit| Assembled { frame, permit }))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::ipc::flow::budget::ReceiveBudget;
    use crate::ipc::flow::SMALL;
    use crate::ipc::frame::{encode, Codec, Kind};
    use crate::role::Epoch;

    #[tokio::test]
    async fn one_announcement_waits_at_a_time_and_no_more_comes_than_was_granted() {
        let budget = ReceiveBudget::new(8 * SMALL);
        let mut assembly = Assembly::new(4 * SMALL);
        assert!(assembly.add(b"x").is_err());
        assert!(assembly.announce(SMALL).is_err() && assembly.announce(5 * SMALL).is_err());
        assembly.announce(SMALL + 1).unwrap();
        assert!(assembly.announce(SMALL + 1).is_err());
        assembly.grant(budget.take(SMALL + 1).await);
        assembly.announce(2 * SMALL).unwrap();
        let mut frame = Vec::new();
        encode(&mut frame, Kind::Parcel, Codec::Bytes, Epoch(7), &vec![7; SMALL + 1]);
        assert!(assembly.add(&[&frame[..], b"x"].concat()).is_err());
        assert!(assembly.add(&frame[..SMALL]).unwrap().is_none());
        let whole = assembly.add(&frame[SMALL..]).unwrap().unwrap();
        assert_eq!(whole.frame.payload.len(), SMALL + 1);
        // The next one is not granted.
        assert!(assembly.add(b"x").is_err());
    }
}
