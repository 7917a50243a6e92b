//! What Rust sees of processes from outside their event loops.
//!
//! * [`event_loop`]: this process's own event loop: is it turning, or for how long has it been silent?
//! * [`silence`]: the process at the other end of a connection: for how long has nothing been heard of it?
//!
//! Both only measure: what is done about a silence is decided by who leads or follows.

pub mod event_loop;
pub mod silence;

use std::time::Duration;

/// Bounds of the time between two looks.
const SHORTEST: Duration = Duration::from_millis(25);
const LONGEST: Duration = Duration::from_secs(1);

/// How often to look, in order to notice a silence of `limit`: a small part of it, and never so often that an idle
/// process would be seen to work.
#[must_use]
pub fn period(limit: Duration) -> Duration {
    (limit / 8).clamp(SHORTEST, LONGEST)
}
