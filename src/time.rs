//! Clocks and durations, in the units that JavaScript uses.
//!
//! Durations, deadlines and ages are of the host's clock, which nobody sets. The wall clock is for people, and for peers
//! that know no other.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The first version of the protocol whose deadlines are of the host's clock; those before it are of the wall clock.
const HOST_CLOCK: u32 = 4;

/// Milliseconds since 1970, as somebody has set them: what people read.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(1)
}

/// Milliseconds of a clock that nobody sets. It goes on while a process is stopped.
///
/// # Platform-specific behaviour
/// Unix: one clock for all processes of the host, which begins anew when the host does. Windows: it begins with the wall
/// clock's time in each process, so that processes disagree by as much as that was set between their starts.
#[must_use]
pub fn host_ms() -> u64 {
    shared_ms().unwrap_or_else(own_ms)
}

/// The same, where all processes of the host share it.
#[must_use]
pub fn shared_ms() -> Option<u64> {
    #[cfg(unix)]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let since = Duration::try_from(now).ok()?;
        Some(millis(since))
    }
    #[cfg(not(unix))]
    None
}

/// A clock that begins with the wall clock's time and is never set.
fn own_ms() -> u64 {
    use std::sync::OnceLock;
    use std::time::Instant;

    static BEGAN: OnceLock<(u64, Instant)> = OnceLock::new();
    let (wall, began) = BEGAN.get_or_init(|| (now_ms(), Instant::now()));
    wall.saturating_add(millis(began.elapsed()))
}

/// A duration in milliseconds; the greatest number where it is longer than that.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// When something happened: for people, and to measure from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// In ms since 1970.
    pub wall: u64,
    /// Of the host's clock, in ms.
    pub host: u64,
}

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self { wall: now_ms(), host: host_ms() }
    }

    /// So many ms before it.
    #[must_use]
    pub fn before(self, ms: u64) -> Self {
        Self { wall: self.wall.saturating_sub(ms), host: self.host.saturating_sub(ms) }
    }

    /// How many ms it is after an earlier one.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.host.saturating_sub(earlier.host)
    }
}

/// By which clock a peer is told of a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The host's.
    Host,
    /// The wall clock: the peer knows no other.
    Wall,
}

impl Clock {
    /// That of a peer with whom that version of the protocol is spoken.
    #[must_use]
    pub fn of(protocol: u32) -> Self {
        if protocol >= HOST_CLOCK {
            Self::Host
        } else {
            Self::Wall
        }
    }

    /// What the clock says when the host's says `at`.
    #[must_use]
    pub fn tell(self, at: u64) -> u64 {
        match self {
            Self::Host => at,
            Self::Wall => moved(at, host_ms(), now_ms()),
        }
    }

    /// What the host's clock says when this one says `at`.
    #[must_use]
    pub fn hear(self, at: u64) -> u64 {
        match self {
            Self::Host => at,
            Self::Wall => moved(at, now_ms(), host_ms()),
        }
    }
}

/// `at` of a clock that reads `from`, by one that reads `to`.
fn moved(at: u64, from: u64, to: u64) -> u64 {
    let moved = i128::from(at) - i128::from(from) + i128::from(to);
    u64::try_from(moved.max(0)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_knows_the_wall_clock_alone_is_told_the_same_moment() {
        let at = host_ms() + 5_000;
        let told = Clock::of(HOST_CLOCK - 1).tell(at);
        assert!((4_900..=5_100).contains(&(told - now_ms())), "{told}");
        assert!(Clock::Wall.hear(told).abs_diff(at) <= 2);
        assert_eq!(Clock::of(HOST_CLOCK).hear(Clock::of(HOST_CLOCK).tell(at)), at);
        assert_eq!(Clock::Wall.hear(0), 0);
        assert_eq!(Clock::Wall.tell(u64::MAX), u64::MAX);
    }

    #[test]
    fn the_clock_of_a_process_alone_goes_on() {
        let before = own_ms();
        std::thread::sleep(Duration::from_millis(3));
        assert!((before + 2..before + 1_000).contains(&own_ms()));
    }
}
