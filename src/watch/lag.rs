//! Is the own event loop stuck? Looks at it often enough to say so soon after a limit has passed, and no sooner.
//!
//! A silence is measured from a question that the event loop has not answered, so it never looks longer than it was,
//! and at the most one [`LOOK`] shorter. A loop that notes its turns is looked at rarely while it turns, and asked when one
//! has taken longer than a look: the silence counts from where that turn began. Else a loop that has slept since the last
//! look turns, and is not asked. Where that is not known either, a process that uses no processor time is asked more rarely:
//! it waits for work, as idle ones do, or for something that lets its event loop hang without working; then it is
//! [`IDLE_LOOKS`] shorter.

use std::time::{Duration, Instant};

use crate::inbox::{Inbox, Question};
use crate::watch::event_loop::{Turns, Watch};
use crate::watch::processor_time::processor_time;

/// How often to look while it may be silent: half of the time within which a stuck event loop is to be reported.
const LOOK: Duration = Duration::from_millis(50);
/// While the process does nothing, one of so many looks asks the event loop for a turn.
const IDLE_LOOKS: u32 = 5;
/// A process that has used less between two looks does nothing; one whose event loop hangs in a loop uses all it can get.
const NOTHING: Duration = Duration::from_millis(1);
/// How often JavaScript may tell whether a debugger is attached.
const DEBUGGER: Duration = Duration::from_secs(2);
/// In so few turns none can have come: telling it takes one itself.
const FEW: u64 = 2;

/// See the module.
#[derive(Debug)]
pub struct Lag {
    watch: Watch,
    limit: Duration,
    /// How long not to look at one that is known to turn: a little longer than a beat.
    rest: Duration,
    silence: Duration,
    is_stuck: bool,
    looks: u32,
    last_look: Instant,
    /// How long after it to look again.
    pause: Duration,
    /// When JavaScript was last asked for a debugger, and how many turns had been noted.
    asked: Option<(Instant, u64)>,
    /// The processor time that the process had used at the last look, where that is known.
    used: Option<Duration>,
    /// For how long the event loop had slept.
    slept: Duration,
}

/// What the time between two looks was used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Since {
    /// The event loop notes its turns, and has been in one for so long.
    Turning(Duration),
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
    /// Begins at `now`; an event loop is stuck that has been silent for `limit`. One that is known to turn is looked at with
    /// each beat, or by itself where none comes: a beat is at most a quarter of the limit.
    #[must_use]
    pub fn new(limit: Duration, beat: Duration, now: Instant) -> Self {
        let watch = Watch::new(LOOK);
        let zero = Duration::ZERO;
        Self {
            watch,
            limit,
            rest: beat + LOOK,
            silence: zero,
            is_stuck: false,
            looks: 0,
            last_look: now,
            pause: LOOK,
            asked: None,
            used: None,
            slept: zero,
        }
    }

    /// One look at `now`.
    pub fn look(&mut self, inbox: &Inbox, now: Instant) -> Verdict {
        let event_loop = inbox.event_loop();
        let since = match (event_loop.turns().and_then(|turns| turns.turning_for(now)), event_loop.slept()) {
            (Some(turning), _) => Since::Turning(turning),
            (None, Some(slept)) if slept > std::mem::replace(&mut self.slept, slept) => Since::Slept,
            (None, Some(_)) => Since::Worked,
            (None, None) if self.has_worked() => Since::Worked,
            (None, None) => Since::Nothing,
        };
        self.look_after(since, inbox, now)
    }

    fn look_after(&mut self, since: Since, inbox: &Inbox, now: Instant) -> Verdict {
        self.last_look = now;
        let turning = if let Since::Turning(turning) = since { turning } else { Duration::ZERO };
        let question = match since {
            _ if self.asks_for_debugger(since, inbox, now) => Question::AndForDebugger(turning),
            Since::Worked => Question::ForTurn(turning),
            Since::Turning(_) if turning >= LOOK => Question::ForTurn(turning),
            Since::Nothing if self.looks.is_multiple_of(IDLE_LOOKS) => Question::ForTurn(turning),
            Since::Nothing | Since::Slept | Since::Turning(_) => Question::None,
        };
        let silence = inbox.look(&mut self.watch, now, question);
        self.looks = self.looks.wrapping_add(1);
        self.silence = silence;
        let is_stuck = silence >= self.limit && !inbox.event_loop().is_inspected();
        let verdict = if is_stuck == self.is_stuck { Verdict::Same } else { Verdict::Changed };
        self.is_stuck = is_stuck;
        self.pause = self.pause_after(since);
        self.watch.pause(self.pause);
        verdict
    }

    /// Whether it is time to ask JavaScript for a debugger. It is not woken as long as none can have come.
    fn asks_for_debugger(&mut self, since: Since, inbox: &Inbox, now: Instant) -> bool {
        let turns = inbox.event_loop().turns().map_or(0, Turns::count);
        let is_time = self.asked.is_none_or(|(at, before)| {
            let may_have_come = !matches!(since, Since::Turning(_)) || turns > before + FEW;
            now.saturating_duration_since(at) >= DEBUGGER && may_have_come
        });
        if is_time {
            self.asked = Some((now, turns));
        }
        is_time
    }

    /// Rarely while it is known to turn; else soon, and at the very moment at which it would be stuck.
    fn pause_after(&self, since: Since) -> Duration {
        let turns = matches!(since, Since::Turning(_)) && self.silence < LOOK;
        let pause = if turns { self.rest } else { LOOK };
        let left = self.limit.saturating_sub(self.silence);
        let crossing = !self.silence.is_zero() && !left.is_zero();
        if crossing {
            pause.min(left)
        } else {
            pause
        }
    }

    /// Whether the process has used processor time since the last look. Where that is not known it is taken to have.
    fn has_worked(&mut self) -> bool {
        let used = processor_time();
        let before = std::mem::replace(&mut self.used, used);
        before.zip(used).is_none_or(|(before, used)| used.saturating_sub(before) >= NOTHING)
    }

    /// When to look next.
    #[must_use]
    pub fn next_look(&self) -> Instant {
        self.last_look + self.pause
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
        let mut lag = Lag::new(LIMIT, LIMIT / 4, began);
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
        let mut lag = Lag::new(LIMIT, LIMIT / 4, began);
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
        let clock = Box::new(move || Duration::from_millis(clock.load(Ordering::Relaxed)));
        inbox.event_loop().set_turns(Arc::new(Turns::new(clock)));
        let mut lag = Lag::new(LIMIT, LIMIT / 4, Instant::now());
        for look in 0..40 {
            slept.fetch_add(50, Ordering::Relaxed);
            let now = lag.next_look();
            assert_eq!(lag.look(&inbox, now), Verdict::Same);
            if look == 0 {
                // The first question, about the debugger.
                let _ = (inbox.woken(), inbox.take());
            }
        }
        assert_eq!(woken.load(Ordering::Relaxed), 1);
        let last = lag.last_look;
        let found = changes_for_real(&mut lag, &inbox, last + LIMIT * 2);
        assert!(matches!(found[..], [(at, true)] if at <= last + LIMIT + LOOK), "{:?}", found[0].0 - last);
    }

    #[test]
    fn a_loop_that_notes_its_turns_is_looked_at_rarely_and_is_found_stuck_at_the_very_moment() {
        use std::sync::atomic::{AtomicU64, Ordering};
        use std::sync::Arc;
        // Awake it has slept for so many µs; asleep it sleeps on, as often as it is asked.
        let (slept, step) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(1)));
        let inbox = Inbox::new(|| {});
        let turns = Arc::new(Turns::new({
            let (slept, step) = (Arc::clone(&slept), Arc::clone(&step));
            Box::new(move || {
                let step = step.load(Ordering::Relaxed);
                Duration::from_micros(slept.fetch_add(step, Ordering::Relaxed))
            })
        }));
        inbox.event_loop().set_turns(Arc::clone(&turns));
        turns.note();
        let mut lag = Lag::new(LIMIT, LIMIT / 4, Instant::now());
        let rest = lag.rest;
        let mut looks = 0;
        let until = lag.last_look + Duration::from_secs(20);
        while lag.next_look() <= until {
            let now = lag.next_look();
            assert_eq!(lag.look(&inbox, now), Verdict::Same);
            looks += 1;
            // The first question is answered, and its turn noted.
            if inbox.woken() {
                assert_eq!(looks, 1);
                let _ = inbox.take();
                turns.note();
            }
        }
        assert_eq!(looks, 67);
        // With turns of its own a debugger may have come.
        for _ in 0..=FEW {
            turns.note();
        }
        lag.look(&inbox, lag.next_look());
        assert!(inbox.woken());
        let _ = inbox.take();
        // It wakes just after a look, and does not come back.
        step.store(0, Ordering::Relaxed);
        let began = lag.last_look + Duration::from_millis(1);
        let awake = u64::try_from((began - Instant::now()).as_micros()).unwrap_or(0);
        turns.begin();
        slept.fetch_add(awake, Ordering::Relaxed);
        let found = changes_for_real(&mut lag, &inbox, began + LIMIT * 2);
        let [(at, true)] = found[..] else { panic!("{found:?}") };
        let late = at - began;
        assert!(
            late + Duration::from_millis(1) >= LIMIT && late < LIMIT + Duration::from_millis(20),
            "{late:?}"
        );
        inbox.event_loop().turned();
        step.store(1, Ordering::Relaxed);
        assert_eq!(lag.look(&inbox, lag.next_look()), Verdict::Changed);
        assert_eq!(lag.next_look() - lag.last_look, rest);
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
        let mut lag = Lag::new(LIMIT, LIMIT / 4, began);
        assert_eq!(changes(&mut lag, &inbox, began + Duration::from_secs(5), false), []);
        assert!(lag.silence() > LIMIT * 2);
    }
}
