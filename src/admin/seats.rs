//! The places of clients, and who gives way when there are more than the limit: those that have asked nothing for the
//! longest, and no less than [`GRACE`]. Otherwise clients that connect and say nothing would keep every probe out, and
//! without that time many of them would drive out who has connected and is about to ask.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{AbortHandle, Id};

/// In this time a client can ask.
const GRACE: Duration = Duration::from_millis(100);
/// So many times the limit are there for that time.
const MORE: usize = 4;

/// What a client does. Its connection says so, and the endpoint looks at it.
#[derive(Debug)]
pub(super) struct Seat {
    state: Mutex<State>,
    /// Told when some seat may be had.
    freed: Arc<Notify>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It has asked nothing since then, or not all of a request.
    Idle(Instant),
    /// Its answer is being made.
    Asked,
    /// There is an answer, of which nothing is written yet.
    Answered,
    /// Some of the answer is written.
    Reads,
}

impl Seat {
    /// Of a client that has just come.
    pub fn new(freed: &Arc<Notify>) -> Self {
        Self { state: Mutex::new(State::Idle(Instant::now())), freed: Arc::clone(freed) }
    }

    /// It has asked something.
    pub fn ask(&self) {
        *self.state() = State::Asked;
    }

    /// There is an answer.
    pub fn answer(&self) {
        *self.state() = State::Answered;
    }

    /// Something is written.
    pub fn write(&self) {
        let mut state = self.state();
        if *state == State::Answered {
            *state = State::Reads;
        }
    }

    /// All that was to be written is.
    pub fn flush(&self) {
        let mut state = self.state();
        if *state == State::Reads {
            *state = State::Idle(Instant::now());
            self.freed.notify_one();
        }
    }

    fn idle_since(&self) -> Option<Instant> {
        match *self.state() {
            State::Idle(since) => Some(since),
            State::Asked | State::Answered | State::Reads => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All who are there.
#[derive(Debug)]
pub(super) struct Seats {
    limit: usize,
    taken: Vec<(Id, AbortHandle, Arc<Seat>)>,
}

impl Seats {
    pub fn new(limit: usize) -> Self {
        Self { limit, taken: Vec::new() }
    }

    /// Whether there is one for a client that comes.
    pub fn has_room(&self) -> bool {
        self.taken.len() < self.limit.saturating_mul(MORE)
    }

    /// Gives one to a client.
    pub fn give(&mut self, client: AbortHandle, seat: Arc<Seat>) {
        self.taken.push((client.id(), client, seat));
    }

    /// A client has gone.
    pub fn leave(&mut self, client: Id) {
        self.taken.retain(|(id, ..)| *id != client);
    }

    /// When the next one gives way, as it looks now.
    pub fn due(&self) -> Option<Instant> {
        let is_over = self.taken.len() > self.limit;
        is_over.then(|| self.longest_idle()).flatten().map(|(since, _)| since + GRACE)
    }

    /// Sends away those that give way.
    pub fn make_room(&mut self, now: Instant) {
        while self.due().is_some_and(|due| due <= now) {
            let Some((_, at)) = self.longest_idle() else { return };
            self.taken.swap_remove(at).1.abort();
        }
    }

    fn longest_idle(&self) -> Option<(Instant, usize)> {
        let idle =
            self.taken.iter().enumerate().filter_map(|(at, (.., seat))| Some((seat.idle_since()?, at)));
        idle.min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_has_asked_nothing_for_the_longest_gives_way_and_who_is_answered_does_not() {
        let freed = Arc::new(Notify::new());
        let mut seats = Seats::new(1);
        let mut clients = Vec::new();
        let mut come = |seats: &mut Seats| {
            let seat = Arc::new(Seat::new(&freed));
            let client = tokio::spawn(std::future::pending::<()>());
            seats.give(client.abort_handle(), Arc::clone(&seat));
            clients.push(client);
            seat
        };
        let later = || Instant::now() + GRACE;
        let first = come(&mut seats);
        first.ask();
        assert_eq!(seats.due(), None);
        let second = come(&mut seats);
        assert_eq!(seats.due(), second.idle_since().map(|since| since + GRACE));
        seats.make_room(Instant::now());
        assert_eq!(seats.taken.len(), 2);
        second.ask();
        assert_eq!(seats.due(), None);
        // What it was answered before.
        second.write();
        second.flush();
        assert_eq!(seats.due(), None);
        second.answer();
        second.flush();
        second.write();
        assert_eq!(seats.due(), None);
        come(&mut seats);
        come(&mut seats);
        assert!(!seats.has_room());
        second.flush();
        freed.notified().await;
        seats.make_room(later());
        assert_eq!(seats.taken.len(), 1);
        let mut ended = Vec::new();
        for client in clients {
            tokio::task::yield_now().await;
            ended.push(client.is_finished());
            client.abort();
        }
        assert_eq!(ended, [false, true, true, true]);
    }
}
