//! The process at the other end of a connection: for how long has nothing been heard of it?
//!
//! Members and primary send each other a beat from their Rust threads, so that a silence means that the whole process
//! stands still (SIGSTOP, a paused container), not that its JavaScript is busy.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub struct Silence {
    period: Duration,
    last_heard: Instant,
    last_look: Instant,
}

impl Silence {
    /// Begins to listen at `now`, and is going to look every `period`.
    #[must_use]
    pub fn new(period: Duration, now: Instant) -> Self {
        Self { period, last_heard: now, last_look: now }
    }

    /// Something was heard at `now`.
    pub fn heard(&mut self, now: Instant) {
        self.last_heard = now;
    }

    /// For how long nothing was heard at `now`. A look that comes late itself starts the measurement again: what the
    /// other end has said meanwhile may not have been read yet.
    pub fn look(&mut self, now: Instant) -> Duration {
        if now.saturating_duration_since(self.last_look) > self.period * 3 {
            self.last_heard = now;
        }
        self.last_look = now;
        now.saturating_duration_since(self.last_heard)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(100);

    #[test]
    fn a_silence_counts_from_what_was_heard_last() {
        let began = Instant::now();
        let mut silence = Silence::new(PERIOD, began);
        assert_eq!(silence.look(began + PERIOD), PERIOD);
        silence.heard(began + PERIOD);
        assert_eq!(silence.look(began + PERIOD * 2), PERIOD);
        assert_eq!(silence.look(began + PERIOD * 3), PERIOD * 2);
    }

    #[test]
    fn who_was_stopped_himself_does_not_blame_the_other_end() {
        let began = Instant::now();
        let mut silence = Silence::new(PERIOD, began);
        assert_eq!(silence.look(began + Duration::from_secs(60)), Duration::ZERO);
    }
}
