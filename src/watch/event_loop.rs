//! The event loop of this process, seen from the agent's thread.
//!
//! Where the loop counts for how long it has slept, that count tells without a question that it turns: one that hangs does
//! not go to sleep. Else, and while it has no time to sleep, it is asked.
//!
//! The agent's thread asks the event loop for a turn and looks, later, whether it has taken one. A loop that waits for
//! work takes it at once; one that runs JavaScript takes it when that ends. So a silence is the time since the oldest
//! question that has not been answered, and a loop that nobody has asked is not silent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Tells for how long an event loop has slept, all in all, the sleep that it is in included. Zero: it does not count.
pub type SleepClock = Box<dyn Fn() -> Duration + Send + Sync>;

/// See the module. Shared by the two threads.
pub struct EventLoop {
    base: Instant,
    /// When it was asked, in µs since `base`; 0 when it has answered since.
    asked_at: AtomicU64,
    /// A debugger may hold it at any line, for as long as it likes.
    inspected: AtomicBool,
    slept: OnceLock<SleepClock>,
}

impl Default for EventLoop {
    fn default() -> Self {
        Self {
            base: Instant::now(),
            asked_at: AtomicU64::new(0),
            inspected: AtomicBool::new(false),
            slept: OnceLock::new(),
        }
    }
}

impl EventLoop {
    /// Called on the event loop, at each turn that comes to us.
    pub fn turned(&self) {
        if self.asked_at.load(Ordering::Relaxed) != 0 {
            self.asked_at.store(0, Ordering::Relaxed);
        }
    }

    /// Called on the event loop when it knows whether a debugger may be attached.
    pub fn set_inspected(&self, inspected: bool) {
        self.inspected.store(inspected, Ordering::Relaxed);
    }

    /// Lets it tell for how long it has slept.
    pub fn set_sleep_clock(&self, clock: SleepClock) {
        let _ = self.slept.set(clock);
    }

    /// For how long it has slept, all in all; `None` when that is not known.
    #[must_use]
    pub fn slept(&self) -> Option<Duration> {
        self.slept.get().map(|clock| clock()).filter(|slept| !slept.is_zero())
    }

    /// Whether a debugger may be attached: then a silence means nothing.
    #[must_use]
    pub fn is_inspected(&self) -> bool {
        self.inspected.load(Ordering::Relaxed)
    }

    /// For how long it has been silent at `now`.
    #[must_use]
    pub fn silent_for(&self, now: Instant) -> Duration {
        match self.asked_at.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            asked => Duration::from_micros(self.micros(now).saturating_sub(asked)),
        }
    }

    /// Notes that it is asked for a turn at `now`; `false` when it still has one to take.
    fn ask(&self, now: Instant) -> bool {
        self.asked_at
            .compare_exchange(0, self.micros(now).max(1), Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }

    /// A question that is open is as if it had been asked so much later.
    fn forgive(&self, unseen: Duration) {
        let unseen = u64::try_from(unseen.as_micros()).unwrap_or(u64::MAX);
        let _ = self.asked_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |asked| {
            (asked != 0).then(|| asked.saturating_add(unseen))
        });
    }

    fn micros(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.base).as_micros()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventLoop").finish_non_exhaustive()
    }
}

/// Looks at the event loop from time to time.
#[derive(Debug)]
pub struct Watch {
    period: Duration,
    last_look: Option<Instant>,
}

impl Watch {
    /// A watch that is going to look every `period`.
    #[must_use]
    pub fn new(period: Duration) -> Self {
        Self { period, last_look: None }
    }

    /// One look at `now`: for how long it has been silent, and whether it is to be asked for a turn, if it may be.
    ///
    /// A watch that comes late itself (the whole process was stopped, or the machine had no time for it) can't say what
    /// the event loop did meanwhile: that time does not count.
    pub fn look(&mut self, event_loop: &EventLoop, now: Instant, may_ask: bool) -> (Duration, bool) {
        let unseen = self.last_look.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.last_look = Some(now);
        if unseen > self.period * 3 {
            event_loop.forgive(unseen);
        }
        let silence = event_loop.silent_for(now);
        (silence, may_ask && event_loop.ask(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(100);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_loop_that_turns_is_never_silent() {
        let (event_loop, mut watch) = (EventLoop::default(), Watch::new(PERIOD));
        for i in 0..20 {
            let now = event_loop.base + PERIOD * i;
            assert_eq!(watch.look(&event_loop, now, true), (Duration::ZERO, true));
            event_loop.turned();
        }
    }

    #[test]
    fn a_silence_counts_from_the_first_question_that_was_not_answered() {
        let (event_loop, mut watch) = (EventLoop::default(), Watch::new(PERIOD));
        let began = event_loop.base + ms(500);
        assert_eq!(watch.look(&event_loop, began, true), (Duration::ZERO, true));
        for i in 1..=40 {
            assert_eq!(watch.look(&event_loop, began + PERIOD * i, true), (PERIOD * i, false));
        }
        event_loop.turned();
        assert_eq!(event_loop.silent_for(began + PERIOD * 41), Duration::ZERO);
    }

    #[test]
    fn what_a_watch_could_not_see_because_it_was_late_does_not_count() {
        let (event_loop, mut watch) = (EventLoop::default(), Watch::new(PERIOD));
        let began = event_loop.base + ms(1);
        watch.look(&event_loop, began, true);
        // The whole process was stopped for a minute.
        let (silence, _) = watch.look(&event_loop, began + ms(60_000), true);
        assert_eq!(silence, Duration::ZERO);
        let (silence, _) = watch.look(&event_loop, began + ms(60_100), true);
        assert_eq!(silence, PERIOD);
        // What was seen before a second stop still counts.
        let (silence, _) = watch.look(&event_loop, began + ms(70_100), true);
        assert_eq!(silence, PERIOD);
    }
}
