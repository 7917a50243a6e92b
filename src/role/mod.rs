//! Who am I: the group that a process belongs to, and the election of its primary.
//!
//! * [`group`]: from a group's key to its folder, the same in all its members and in nobody else's.
//! * [`user`]: whose group it is.
//! * [`folder`]: makes the folder, or says why it can't be trusted. [`file`](mod@file): opens what is in it.
//! * [`floor`]: the epoch above which a group starts whose folder was cleared away.
//! * [`stale`]: clears folders of groups that nobody holds any more.
//! * [`lock`]: the lock file. Who holds its lock is primary; it carries the epoch.
//! * [`presence`]: who is in the group, so that the last one to leave knows that it is.
//! * [`guard`]: a second hold on the group, for the case that the folder is taken away below a primary.
//! * [`handover`]: what a primary that hands over leaves for the next one. [`metrics_file`]: and what it keeps all along.
//!
//! Which deployment this is, is decided before any of this is loaded, in `ts/role`.

pub mod file;
pub mod floor;
pub mod folder;
pub mod group;
pub mod guard;
pub mod handover;
pub mod lock;
pub mod metrics_file;
pub mod presence;
pub mod stale;
pub mod user;

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number that grows with each new primary of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A member's number, unique within a tenure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub u32);

impl MemberId {
    /// The broker itself, which is no member: what it asks on its own account.
    pub const BROKER: Self = Self(0);
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
