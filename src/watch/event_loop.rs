//! The event loop of this process, seen from the agent's thread.
//!
//! Where the loop counts for how long it has slept, that count tells without a question that it turns: one that hangs does
//! not go to sleep. Where it notes its turns as well, both together tell how long the turn that it is in has taken, to the
//! microsecond and at any time, so that it can be looked at rarely. Else, and while it has no time to sleep, it is asked.
//!
//! The agent's thread asks the event loop for a turn and looks, later, whether it has taken one. A loop that waits for
//! work takes it at once; one that runs JavaScript takes it when that ends. So a silence is the time since the oldest
//! question that has not been answered, and a loop that nobody has asked is not silent.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Tells for how long an event loop has slept, all in all, the sleep that it is in included. Zero: it does not count.
pub type SleepClock = Box<dyn Fn() -> Duration + Send + Sync>;

/// What an event loop notes of itself.
pub struct Turns {
    clock: SleepClock,
    base: Instant,
    /// How many it has noted.
    count: AtomicU64,
    /// For how long it had been awake when the turn that it is in began: µs since `base`, less those of all its sleep.
    awake: AtomicI64,
}

impl Turns {
    /// Of an event loop that has slept for as long as `clock` tells.
    #[must_use]
    pub fn new(clock: SleepClock) -> Self {
        Self { clock, base: Instant::now(), count: AtomicU64::new(0), awake: AtomicI64::new(0) }
    }

    /// Called on the event loop in each turn, just before it looks for events.
    pub fn note(&self) {
        self.begin();
        self.count.fetch_add(1, Ordering::Relaxed);
    }

    /// Called on the event loop: the turn that it is in counts from now.
    pub fn begin(&self) {
        let slept = (self.clock)();
        self.awake.store(self.awake(slept, Instant::now()), Ordering::Relaxed);
    }

    /// How many it has noted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// How long the turn that it is in has taken at `now`, which is over: zero while it sleeps; `None` when it does not note
    /// its turns, or does not count its sleep.
    #[must_use]
    pub fn turning_for(&self, now: Instant) -> Option<Duration> {
        let slept = (self.clock)();
        if self.count() == 0 || slept.is_zero() {
            return None;
        }
        if (self.clock)() > slept {
            return Some(Duration::ZERO);
        }
        let turning = self.awake(slept, now) - self.awake.load(Ordering::Relaxed);
        Some(Duration::from_micros(u64::try_from(turning).unwrap_or(0)))
    }

    fn awake(&self, slept: Duration, now: Instant) -> i64 {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        micros(now.saturating_duration_since(self.base)) - micros(slept)
    }
}

impl std::fmt::Debug for Turns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

/// See the module. Shared by the two threads.
pub struct EventLoop {
    base: Instant,
    /// When it was asked, in µs since `base`; 0 when it has answered since.
    asked_at: AtomicU64,
    /// A debugger may hold it at any line, for as long as it likes.
    inspected: AtomicBool,
    turns: OnceLock<Arc<Turns>>,
}

impl Default for EventLoop {
    fn default() -> Self {
        Self {
            base: Instant::now(),
            asked_at: AtomicU64::new(0),
            inspected: AtomicBool::new(false),
            turns: OnceLock::new(),
        }
    }
}

impl EventLoop {
    /// Called on the event loop, at each turn that comes to us.
    pub fn turned(&self) {
        if self.asked_at.load(Ordering::Relaxed) != 0 {
            self.asked_at.store(0, Ordering::Relaxed);
        }
        if let Some(turns) = self.turns() {
            turns.begin();
        }
    }

    /// Called on the event loop when it knows whether a debugger may be attached.
    pub fn set_inspected(&self, inspected: bool) {
        self.inspected.store(inspected, Ordering::Relaxed);
    }

    /// Lets it tell what it notes of itself.
    pub fn set_turns(&self, turns: Arc<Turns>) {
        let _ = self.turns.set(turns);
    }

    /// What it notes of itself.
    #[must_use]
    pub fn turns(&self) -> Option<&Turns> {
        self.turns.get().map(Arc::as_ref)
    }

    /// For how long it has slept, all in all; `None` when that is not known.
    #[must_use]
    pub fn slept(&self) -> Option<Duration> {
        self.turns().map(|turns| (turns.clock)()).filter(|slept| !slept.is_zero())
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

    /// Notes that it is asked for a turn, and silent since `since`; `false` when it still has one to take.
    fn ask(&self, since: Instant) -> bool {
        self.asked_at
            .compare_exchange(0, self.micros(since).max(1), Ordering::Relaxed, Ordering::Relaxed)
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
    /// How long after the last look it means to look.
    pause: Duration,
    last_look: Option<Instant>,
}

impl Watch {
    /// A watch that is going to look every `period`.
    #[must_use]
    pub fn new(period: Duration) -> Self {
        Self { period, pause: period, last_look: None }
    }

    /// It is going to look so long after the last look, and then again every period.
    pub fn pause(&mut self, pause: Duration) {
        self.pause = pause;
    }

    /// One look at `now`: for how long it has been silent, and whether it is to be asked for a turn. It is asked, if it has
    /// none to take yet, where `turning` is given: for how long it has been in the turn that it is in.
    ///
    /// A watch that comes late itself (the whole process was stopped, or the machine had no time for it) can't say what
    /// the event loop did meanwhile: that time does not count.
    pub fn look(
        &mut self,
        event_loop: &EventLoop,
        now: Instant,
        turning: Option<Duration>,
    ) -> (Duration, bool) {
        let unseen = self.last_look.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let is_late = unseen > std::mem::replace(&mut self.pause, self.period) + self.period * 2;
        self.last_look = Some(now);
        if is_late {
            event_loop.forgive(unseen);
        }
        let asked = turning.is_some_and(|turning| {
            let began = if is_late { None } else { now.checked_sub(turning) };
            event_loop.ask(began.unwrap_or(now))
        });
        (event_loop.silent_for(now), asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(100);
    const ASKED: Option<Duration> = Some(Duration::ZERO);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_loop_that_turns_is_never_silent() {
        let (event_loop, mut watch) = (EventLoop::default(), Watch::new(PERIOD));
        for i in 0..20 {
            let now = event_loop.base + PERIOD * i;
            assert_eq!(watch.look(&event_loop, now, ASKED), (Duration::ZERO, true));
            event_loop.turned();
        }
    }

    #[test]
    fn a_silence_counts_from_the_first_question_that_was_not_answered() {
        let (event_loop, mut watch) = (EventLoop::default(), Watch::new(PERIOD));
        let began = event_loop.base + ms(500);
        assert_eq!(watch.look(&event_loop, began, ASKED), (Duration::ZERO, true));
        for i in 1..=40 {
            assert_eq!(watch.look(&event_loop, began + PERIOD * i, ASKED), (PERIOD * i, false));
        }
        event_loop.turned();
        assert_eq!(event_loop.silent_for(began + PERIOD * 41), Duration::ZERO);
    }

    #[test]
    fn what_a_watch_could_not_see_because_it_was_late_does_not_count() {
        let (event_loop, mut watch) = (EventLoop::default(), Watch::new(PERIOD));
        let began = event_loop.base + ms(1);
        watch.look(&event_loop, began, ASKED);
        // The whole process was stopped for a minute.
        let (silence, _) = watch.look(&event_loop, began + ms(60_000), ASKED);
        assert_eq!(silence, Duration::ZERO);
        let (silence, _) = watch.look(&event_loop, began + ms(60_100), ASKED);
        assert_eq!(silence, PERIOD);
        // What was seen before a second stop still counts.
        let (silence, _) = watch.look(&event_loop, began + ms(70_100), ASKED);
        assert_eq!(silence, PERIOD);
    }

    #[test]
    fn a_turn_that_was_long_before_it_was_seen_counts_from_its_beginning() {
        let (event_loop, mut watch) = (EventLoop::default(), Watch::new(PERIOD));
        let began = event_loop.base + ms(500);
        watch.look(&event_loop, began, None);
        watch.pause(PERIOD * 5);
        assert_eq!(watch.look(&event_loop, began + PERIOD * 5, Some(ms(420))), (ms(420), true));
        assert_eq!(watch.look(&event_loop, began + PERIOD * 6, Some(ms(520))), (ms(520), false));
    }

    #[test]
    fn a_watch_that_pauses_is_late_when_it_comes_later_than_it_meant_to() {
        let (event_loop, mut watch) = (EventLoop::default(), Watch::new(PERIOD));
        let began = event_loop.base + ms(500);
        watch.look(&event_loop, began, None);
        watch.pause(PERIOD * 5);
        // The whole process was stopped, in the middle of a turn.
        let stopped = ms(60_000);
        assert_eq!(watch.look(&event_loop, began + stopped, Some(stopped)), (Duration::ZERO, true));
        assert_eq!(watch.look(&event_loop, began + stopped + PERIOD, None), (PERIOD, false));
    }

    #[test]
    fn a_turn_takes_the_time_since_the_last_that_was_not_slept() {
        use std::sync::atomic::AtomicBool;
        let (slept, sleeps) = (Arc::new(AtomicU64::new(7_000)), Arc::new(AtomicBool::new(false)));
        let turns = Turns::new({
            let (slept, sleeps) = (Arc::clone(&slept), Arc::clone(&sleeps));
            Box::new(move || {
                let more = u64::from(sleeps.load(Ordering::Relaxed));
                Duration::from_millis(slept.fetch_add(more, Ordering::Relaxed))
            })
        });
        assert_eq!(turns.turning_for(Instant::now()), None);
        turns.note();
        let noted = Instant::now();
        // It has slept for 5 s, and runs for 2.
        slept.fetch_add(5_000, Ordering::Relaxed);
        let turning = turns.turning_for(noted + ms(7_000)).unwrap_or_default();
        assert!(turning >= ms(2_000) && turning < ms(2_100), "{turning:?}");
        sleeps.store(true, Ordering::Relaxed);
        assert_eq!(turns.turning_for(noted + ms(7_000)), Some(Duration::ZERO));
        sleeps.store(false, Ordering::Relaxed);
        slept.store(0, Ordering::Relaxed);
        assert_eq!(turns.turning_for(noted), None);
    }
}
