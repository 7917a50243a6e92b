//! What Rust sees of processes from outside their event loops.
//!
//! * [`event_loop`]: this process's own event loop: is it turning, or for how long has it been silent?
//! * [`lag`]: the same with a limit: is it stuck?
//! * [`silence`]: the process at the other end of a connection: for how long has nothing been heard of it?
//!
//! All of them only measure: what is done about a silence is decided by who leads or follows.

pub mod event_loop;
pub mod lag;
mod processor_time;
pub mod silence;

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{interval_at, Instant, Interval, MissedTickBehavior};

/// Bounds of the time between two looks, and between two beats.
const SHORTEST: Duration = Duration::from_millis(25);
const LONGEST: Duration = Duration::from_secs(1);

/// How often to look, in order to notice a silence of `limit`: a small part of it, and never so often that an idle
/// process would be seen to work.
#[must_use]
pub fn period(limit: Duration) -> Duration {
    (limit / 8).clamp(SHORTEST, LONGEST)
}

/// Ticks every `period`, at the same moments as all others in this process: one wake-up does for all of them.
#[must_use]
pub fn ticks(period: Duration) -> Interval {
    static BASE: OnceLock<Instant> = OnceLock::new();
    let base = *BASE.get_or_init(Instant::now);
    let periods = base.elapsed().as_nanos() / period.as_nanos().max(1) + 1;
    let first = base + period * u32::try_from(periods).unwrap_or(u32::MAX);
    let mut ticks = interval_at(first, period);
    // Who comes late does not leave the others for it.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// The limits of two kinds of silence: of an event loop, which is known at once, and of a whole process, which is known
/// from the beats that do not come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A primary whose event loop is silent for so long is relieved; one whose process is, is taken for frozen by those
    /// who call it.
    pub max_silence: Duration,
    /// A member whose event loop is silent for so long is stuck.
    pub max_lag: Duration,
}

impl Limits {
    /// How often to send and to look for signs of life.
    #[must_use]
    pub fn beat(self) -> Duration {
        period(self.max_silence).min((self.max_lag / 4).clamp(SHORTEST, LONGEST))
    }

    /// A process of which nothing was heard for so long is frozen. The last beat may have come just before it froze, and
    /// `beat` is how often they come.
    #[must_use]
    pub fn frozen(self, beat: Duration) -> Duration {
        self.max_lag + beat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn those_who_tick_do_so_at_the_same_moments_also_when_one_was_late() {
        let period = Duration::from_millis(40);
        let mut one = ticks(period);
        tokio::time::sleep(period / 4).await;
        let mut other = ticks(period);
        assert_eq!(one.tick().await, other.tick().await);
        tokio::time::sleep(period * 5 / 2).await;
        one.tick().await;
        let (one, other) = (one.tick().await, {
            other.tick().await;
            other.tick().await
        });
        let apart = one.max(other) - one.min(other);
        assert_eq!(apart.as_nanos() % period.as_nanos(), 0, "{apart:?}");
    }
}
