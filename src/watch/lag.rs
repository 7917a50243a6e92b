//! Is the own event loop stuck? Looks at it often enough to say so soon after a limit has passed, and no sooner.
//!
//! A silence is measured from a question that the event loop has not answered, so it never looks longer than it was,
//! and at the most one [`LOOK`] shorter. A loop that has slept since the last look turns, and is not asked. Where that is
//! not known, a process that uses no processor time is asked more rarely: it waits for work, as idle ones do, or for
//! something that lets its event loop hang without working; then it is [`IDLE_LOOKS`] shorter.

use std::time::{Duration, Instant};

use crate::inbox::{Inbox, Question};
use crate::watch::event_loop::Watch;

/// How often to look: half of the time within which a stuck event loop is to be reported.
const LOOK: Duration = Duration::from_millis(50);
/// While the process does nothing, one of so many looks asks the event loop for a turn.
const IDLE_LOOKS: u32 = 5;
/// A process that has used less between two looks does nothing; one whose event loop hangs in a loop uses all it can get.
const NOTHING: Duration = Duration::from_millis(1);
/// One of so many looks lets JavaScript tell whether a debugger is attached.
const LOOKS: u32 = 40;

/// See the module.
#[derive(Debug)]
pub struct Lag {
    watch: Watch,
    limit: Duration,
    silence: Duration,
    is_stuck: bool,
    looks: u32,
    last_look: Instant,
    /// The processor time that the process had used at the last look.
    used: Duration,
    /// For how long the event loop had slept.
    slept: Duration,
}

/// What the time between two looks was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// The event loop has slept: it turns.
    Slept,
    /// It has not, or that is not known, and the process has worked.
    Worked,
    /// Nobody knows, and the process has done nothing.
    Nothing,
}

/// Whether something else is to be said than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It turns, or it is stuck, as before.
    Same,
    /// It is stuck from now on, or turns again.
    Changed,
}

impl Lag {
    /// Begins at `now`; an event loop is stuck that has been silent for `limit`.
    #[must_use]
    pub fn new(limit: Duration, now: Instant) -> Self {
        let watch = Watch::new(LOOK);
        let zero = Duration::ZERO;
        Self {
            watch,
            limit,
            silence: zero,
            is_stuck: false,
            looks: 0,
            last_look: now,
            used: zero,
            slept: zero,
        }
    }

    /// One look at `now`.
    pub fn look(&mut self, inbox: &Inbox, now: Instant) -> Verdict {
        let since = match inbox.event_loop().slept() {
            Some(slept) if slept > std::mem::replace(&mut self.slept, slept) => Since::Slept,
            Some(_) => Since::Worked,
            None if self.has_worked() => Since::Worked,
            None => Since::Nothing,
        };
        self.look_after(since, inbox, now)
    }

    fn look_after(&mut self, since: Since, inbox: &Inbox, now: Instant) -> Verdict {
        self.last_look = now;
        let question = match since {
            _ if self.looks.is_multiple_of(LOOKS) => Question::AndForDebugger,
            Since::Worked => Question::ForTurn,
            Since::Nothing if self.looks.is_multiple_of(IDLE_LOOKS) => Question::ForTurn,
            Since::Nothing | Since::Slept => Question::None,
        };
        let silence = inbox.look(&mut self.watch, now, question);
        self.looks = self.looks.wrapping_add(1);
        self.silence = silence;
        let is_stuck = silence >= self.limit && !inbox.event_loop().is_inspected();
        let verdict = if is_stuck == self.is_stuck { Verdict::Same } else { Verdict::Changed };
        self.is_stuck = is_stuck;
        verdict
    }

    /// Whether the process has used processor time since the last look.
    ///
    /// # Platform-specific behaviour
    /// Windows: not known; it is taken to have.
    fn has_worked(&mut self) -> bool {
        #[cfg(unix)]
        {
            use rustix::time::{clock_gettime, ClockId};
            let before = self.used;
            self.used = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
            self.used.saturating_sub(before) >= NOTHING
        }
        #[cfg(not(unix))]
        true
    }

    /// When to look next: soon, and at the very moment at which it would be stuck.
    #[must_use]
    pub fn next_look(&self) -> Instant {
        let left = self.limit.saturating_sub(self.silence);
        let crossing = !self.silence.is_zero() && !left.is_zero() && left < LOOK;
        self.last_look + if crossing { left } else { LOOK }
    }

    /// For how long the event loop was silent at the last look.
    #[must_use]
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// Whether it was stuck at the last look. Never while a debugger may hold it.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.is_stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    /// Looks whenever it is time to, until `until`; when the verdict changed.
    fn changes(lag: &mut Lag, inbox: &Inbox, until: Instant, turns: bool) -> Vec<(Instant, bool)> {
        changes_of(Since::Worked, lag, inbox, until, turns)
    }

    fn changes_of(
        since: Since,
        lag: &mut Lag,
        inbox: &Inbox,
        until: Instant,
        turns: bool,
    ) -> Vec<(Instant, bool)> {
        let mut changed = Vec::new();
        loop {
            let now = lag.next_look();
            if now > until {
                return changed;
            }
            if lag.look_after(since, inbox, now) == Verdict::Changed {
                changed.push((now, lag.is_stuck()));
            }
            if turns {
                inbox.event_loop().turned();
            }
        }
    }

    #[test]
    fn a_loop_is_stuck_when_the_limit_has_passed_and_not_before() {
        let (inbox, began) = (Inbox::new(|| {}), Instant::now());
        let mut lag = Lag::new(LIMIT, began);
        assert_eq!(changes(&mut lag, &inbox, began + Duration::from_secs(3), true), []);
        let began = began + Duration::from_secs(3);
        let found = changes(&mut lag, &inbox, began + Duration::from_secs(3), false);
        assert_eq!(found.len(), 1);
        let (at, is_stuck) = found[0];
        assert!(is_stuck && at >= began + LIMIT && at <= began + LIMIT + LOOK, "{:?}", at - began);
        inbox.event_loop().turned();
        let found = changes(&mut lag, &inbox, began + Duration::from_secs(4), true);
        assert!(matches!(found[..], [(_, false)]), "{found:?}");
    }

    #[test]
    fn a_loop_that_hangs_without_working_is_found_too_a_little_later() {
        let (inbox, began) = (Inbox::new(|| {}), Instant::now());
        let mut lag = Lag::new(LIMIT, began);
        assert_eq!(changes_of(Since::Nothing, &mut lag, &inbox, began + LIMIT, true), []);
        let found = changes_of(Since::Nothing, &mut lag, &inbox, began + LIMIT * 3, false);
        let late = LOOK * IDLE_LOOKS;
        assert!(matches!(found[..], [(at, true)] if at <= began + LIMIT * 2 + late), "{found:?}");
    }

    #[test]
    fn a_loop_that_sleeps_is_not_woken_to_ask_and_one_that_sleeps_no_more_is_stuck() {
        use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
        use std::sync::Arc;
        let (woken, slept) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(1)));
        let inbox = Inbox::new({
            let woken = Arc::clone(&woken);
            move || {
                woken.fetch_add(1, Ordering::Relaxed);
            }
        });
        let clock = Arc::clone(&slept);
        inbox
            .event_loop()
            .set_sleep_clock(Box::new(move || Duration::from_millis(clock.load(Ordering::Relaxed))));
        let mut lag = Lag::new(LIMIT, Instant::now());
        for look in 0..LOOKS {
            slept.fetch_add(50, Ordering::Relaxed);
            let now = lag.next_look();
            assert_eq!(lag.look(&inbox, now), Verdict::Same);
            if look == 0 {
                // The one question in so many, about the debugger.
                let _ = (inbox.woken(), inbox.take());
            }
        }
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        let last = lag.last_look;
        let found = changes_for_real(&mut lag, &inbox, last + LIMIT * 2);
        assert!(matches!(found[..], [(at, true)] if at <= last + LIMIT + LOOK), "{:?}", found[0].0 - last);
    }

    fn changes_for_real(lag: &mut Lag, inbox: &Inbox, until: Instant) -> Vec<(Instant, bool)> {
        let mut changed = Vec::new();
        while lag.next_look() <= until {
            let now = lag.next_look();
            if lag.look(inbox, now) == Verdict::Changed {
                changed.push((now, lag.is_stuck()));
            }
        }
        changed
    }

    #[test]
    fn a_loop_that_a_debugger_may_hold_is_never_stuck() {
        let (inbox, began) = (Inbox::new(|| {}), Instant::now());
        inbox.event_loop().set_inspected(true);
        let mut lag = Lag::new(LIMIT, began);
        assert_eq!(changes(&mut lag, &inbox, began + Duration::from_secs(5), false), []);
        assert!(lag.silence() > LIMIT * 2);
    }
}
