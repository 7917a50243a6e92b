//! One answer for all who ask at one time.

use std::future::Future;
use std::time::Instant;

use tokio::sync::Mutex;

/// Makes one answer at a time. Whoever asks while one is being made waits for the next, which is for all who wait: so
/// none is older than its question, and none takes longer than two.
#[derive(Debug)]
pub(super) struct Once<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Once<T> {
    /// The answer that `make` gives, or that of somebody else whose making has begun since.
    pub async fn get(&self, make: impl Future<Output = T>) -> T {
        let asked = Instant::now();
        // Whoever gives up while it makes one leaves that to the next in the queue.
        let mut last = self.0.lock().await;
        if let Some((_, answer)) = last.as_ref().filter(|(began, _)| *began >= asked) {
            return answer.clone();
        }
        let began = Instant::now();
        let answer = make.await;
        *last = Some((began, answer.clone()));
        answer
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use tokio::sync::Notify;
    use tokio::task::{yield_now, LocalSet};

    use super::*;

    #[derive(Default)]
    struct Kitchen {
        once: Once<u32>,
        made: Cell<u32>,
        go_on: Notify,
    }

    impl Kitchen {
        async fn ask(&self) -> u32 {
            let make = async {
                self.made.set(self.made.get() + 1);
                let nth = self.made.get();
                self.go_on.notified().await;
                nth
            };
            self.once.get(make).await
        }
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(LocalSet::new().run_until(test));
    }

    #[test]
    fn who_asks_while_one_is_made_shares_the_next_with_all_who_wait() {
        run(async {
            let kitchen = Rc::new(Kitchen::default());
            let ask = || {
                let kitchen = Rc::clone(&kitchen);
                tokio::task::spawn_local(async move { kitchen.ask().await })
            };
            let first = ask();
            yield_now().await;
            let later = [ask(), ask(), ask()];
            yield_now().await;
            kitchen.go_on.notify_one();
            assert_eq!(first.await.unwrap(), 1);
            yield_now().await;
            kitchen.go_on.notify_one();
            for each in later {
                assert_eq!(each.await.unwrap(), 2);
            }
            kitchen.go_on.notify_one();
            assert_eq!(kitchen.ask().await, 3);
        });
    }

    #[test]
    fn who_gives_up_does_not_keep_the_others_waiting() {
        run(async {
            let kitchen = Rc::new(Kitchen::default());
            let ask = || {
                let kitchen = Rc::clone(&kitchen);
                tokio::task::spawn_local(async move { kitchen.ask().await })
            };
            let first = ask();
            yield_now().await;
            let second = ask();
            yield_now().await;
            first.abort();
            yield_now().await;
            kitchen.go_on.notify_one();
            assert_eq!(second.await.unwrap(), 2);
        });
    }
}
