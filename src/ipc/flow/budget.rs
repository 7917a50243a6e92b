//! How many bytes of large frames a process keeps for its peers: one budget for all its connections, of both lanes.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// See the module. Clones are one budget.
#[derive(Clone, Debug)]
pub struct ReceiveBudget {
    bytes: Arc<Semaphore>,
    most: u32,
}

/// A part of a budget, which is free again when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Permit {
    _bytes: Option<Arc<OwnedSemaphorePermit>>,
}

/// A permit that is waited for. It has its place in the line from the first poll on, until it is dropped.
pub type Waiting = Pin<Box<dyn Future<Output = Permit> + Send>>;

impl ReceiveBudget {
    /// A budget of `most` bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let most = u32::try_from(most.clamp(1, Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        Self { bytes: Arc::new(Semaphore::new(most as usize)), most }
    }

    /// Waits for `length` bytes, in the order in which they are asked for; for all, where that is less: then nothing else
    /// is granted meanwhile.
    #[must_use]
    pub fn take(&self, length: usize) -> Waiting {
        let length = u32::try_from(length).unwrap_or(u32::MAX).min(self.most);
        let bytes = Arc::clone(&self.bytes);
        // Never closed, so that it always gives a permit.
        Box::pin(async move { Permit { _bytes: bytes.acquire_many_owned(length).await.ok().map(Arc::new) } })
    }

    /// How many bytes are not granted.
    #[must_use]
    pub fn free(&self) -> usize {
        self.bytes.available_permits()
    }
}

/// `bytes`, with which `until` is dropped.
#[must_use]
pub fn held(bytes: Bytes, until: impl Send + 'static) -> Bytes {
    /// The second is there for its drop alone.
    struct Held<T>(Bytes, T);
    impl<T> AsRef<[u8]> for Held<T> {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    Bytes::from_owner(Held(bytes, until))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn is_given(waiting: &mut Waiting) -> Option<Permit> {
        tokio::time::timeout(Duration::from_millis(1), waiting).await.ok()
    }

    #[tokio::test]
    async fn grants_come_in_the_order_of_the_questions_and_a_small_one_does_not_pass_a_large_one() {
        let budget = ReceiveBudget::new(100);
        let first = budget.take(60).await;
        let (mut second, mut third) = (budget.take(50), budget.take(10));
        assert!(is_given(&mut second).await.is_none());
        assert!(is_given(&mut third).await.is_none());
        drop(first);
        let second = is_given(&mut second).await;
        assert!(second.is_some() && is_given(&mut third).await.is_some());
    }

    #[tokio::test]
    async fn what_is_larger_than_the_whole_budget_passes_alone() {
        let budget = ReceiveBudget::new(100);
        let other = budget.take(1).await;
        let mut large = budget.take(1000);
        assert!(is_given(&mut large).await.is_none());
        drop(other);
        let large = is_given(&mut large).await;
        assert!(large.is_some() && budget.free() == 0);
        drop(large);
        assert_eq!(budget.free(), 100);
    }

    #[tokio::test]
    async fn a_permit_lives_as_long_as_any_part_of_the_bytes() {
        let budget = ReceiveBudget::new(100);
        let bytes = held(Bytes::from_static(b"abc"), budget.take(3).await);
        let part = bytes.slice(1..2);
        drop(bytes);
        assert_eq!((budget.free(), &part[..]), (97, &b"b"[..]));
        drop(part);
        assert_eq!(budget.free(), 100);
        let empty = held(Bytes::new(), budget.take(3).await);
        assert_eq!(budget.free(), 97);
        drop(empty);
        assert_eq!(budget.free(), 100);
    }

    #[tokio::test]
    async fn who_waits_no_more_has_no_place_in_the_line() {
        let budget = ReceiveBudget::new(100);
        let first = budget.take(100).await;
        let (mut second, mut third) = (budget.take(100), budget.take(10));
        assert!(is_given(&mut second).await.is_none() && is_given(&mut third).await.is_none());
        drop((second, first));
        assert!(is_given(&mut third).await.is_some());
    }
}
