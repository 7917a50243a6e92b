//! The processor time that this process has used.

use std::time::Duration;

/// All that its threads have used.
///
/// # Platform-specific behaviour
/// Windows: not known.
#[cfg(unix)]
pub fn processor_time() -> Option<Duration> {
    use rustix::time::{clock_gettime, ClockId};
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).ok()
}

#[cfg(not(unix))]
pub fn processor_time() -> Option<Duration> {
    None
}
