//! When an event loop may wait awake for the next frame, instead of going to sleep. No I/O, no clock.
//!
//! A wake-up of a sleeping processor costs tens of microseconds, more than a whole call. Waiting awake saves it if the
//! frame comes soon, and costs the time of others if it does not. So it is short ([`CAP`]), and what was waited in vain is
//! paid from a budget ([`SHARE`] of the time that passes): a process whose calls take longer than that stops waiting
//! awake by itself.

use std::time::{Duration, Instant};

/// How long one wait may take.
pub const CAP: Duration = Duration::from_micros(50);
/// Which part of all time may be waited in vain: one in so many.
const SHARE: u32 = 20;
/// The most that is saved up for later.
const MOST: Duration = Duration::from_millis(2);
/// A processor that was given away for longer was wanted by somebody else.
pub const CONTENDED: Duration = Duration::from_micros(25);
/// How many times as dear a wait is that has kept somebody else from running.
const FINE: u32 = 8;

/// See the module.
#[derive(Debug)]
pub struct Budget {
    left: Duration,
    counted: Instant,
}

impl Budget {
    /// A full one.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { left: MOST, counted: now }
    }

    /// Whether a wait may begin.
    pub fn allows(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted);
        self.counted = now;
        self.left = MOST.min(self.left + passed / SHARE);
        self.left >= CAP
    }

    /// A wait was in vain.
    pub fn missed(&mut self, took: Duration, contended: bool) {
        self.left = self.left.saturating_sub(took * if contended { FINE } else { 1 });
    }
}

/// Whether waiting awake can pay at all here: not where all threads share one processor. Knows the limits of cgroups.
#[must_use]
pub fn has_free_core() -> bool {
    std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_in_vain_take_no_more_than_their_share() {
        let mut now = Instant::now();
        let began = now;
        let mut budget = Budget::new(now);
        let mut waited = Duration::ZERO;
        while now < began + Duration::from_secs(1) {
            if budget.allows(now) {
                budget.missed(CAP, false);
                waited += CAP;
                now += CAP;
            }
            now += Duration::from_micros(100);
        }
        assert!(waited <= Duration::from_millis(52) + CAP, "{waited:?}");
        assert!(waited >= Duration::from_millis(45), "{waited:?}");
    }

    #[test]
    fn a_wait_that_keeps_others_from_running_ends_it_sooner() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        let mut waits = 0;
        while budget.allows(now) {
            budget.missed(CAP, true);
            waits += 1;
        }
        assert_eq!(waits, 5);
        assert!(!budget.allows(now + Duration::from_micros(900)));
        assert!(budget.allows(now + Duration::from_millis(2)));
    }

    #[test]
    fn what_is_saved_up_is_bounded() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        assert!(budget.allows(now + Duration::from_secs(3600)));
        assert_eq!(budget.left, MOST);
    }
}
