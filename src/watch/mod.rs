//! What Rust sees of processes from outside their event loops.
//!
//! * [`event_loop`]: this process's own event loop: is it turning, or for how long has it been silent?
//! * [`lag`]: the same with a limit: is it stuck?
//! * [`silence`]: the process at the other end of a connection: for how long has nothing been heard of it?
//!
//! All of them only measure: what is done about a silence is decided by who leads or follows.

pub mod event_loop;
pub mod lag;
pub mod silence;

use std::time::Duration;

/// Bounds of the time between two looks, and between two beats.
const SHORTEST: Duration = Duration::from_millis(25);
const LONGEST: Duration = Duration::from_secs(1);

/// How often to look, in order to notice a silence of `limit`: a small part of it, and never so often that an idle
/// process would be seen to work.
#[must_use]
pub fn period(limit: Duration) -> Duration {
    (limit / 8).clamp(SHORTEST, LONGEST)
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
