//! An HTTP endpoint for monitoring, answered in the primary's agent thread: whatever the event loops of the group do.
//!
//! * [`Endpoint`]: is there for a tenure. `listen`: takes its port, again and again until it has it. `connection`: one
//!   client, and what it may cost.
//! * `desk`: from a request to an answer. `metrics` and `look` ask the group for it; `once`: for all who ask at one time.
//! * [`host`]: whom a request is meant for (no I/O). `seats`: who gives way when all places are taken.
//! * [`verdict`]: what is said of a group's health, and [`accept`]: which format a client wants (no I/O).
//!
//! ```text
//!  GET /metrics ─▶ desk ─▶ Broker::ask_metrics   ─▶ all members, for `metrics.timeout`
//!  GET /health  ─▶      ─▶ Broker::ask_the_well  ─▶ those who run, for their own checks; Broker::standings
//!  GET /members ─▶      ─▶ Broker::members
//!  GET /live    ─▶      200
//! ```
//!
//! It shares its thread with the broker. So nothing here blocks, what a client sends is bounded and never trusted, and
//! many who ask at once make members answer once.

pub mod accept;
mod connection;
mod desk;
mod endpoint;
pub mod host;
mod listen;
mod look;
mod metrics;
mod once;
mod seats;
pub mod verdict;

use std::net::SocketAddr;
use std::time::Duration;

pub use endpoint::Endpoint;

use crate::metrics::render::Options;
use crate::metrics::write::Format;

/// What is answered, and where.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it listens.
    pub address: SocketAddr,
    /// The names by which it may be asked, besides `localhost` and addresses; in lower case.
    pub hosts: Vec<String>,
    /// The group's name, as people read it.
    pub group: String,
    /// How the group's health is looked at.
    pub health: Health,
    /// How its metrics are given.
    pub metrics: Metrics,
    /// What clients may cost.
    pub limits: Limits,
}

/// What clients may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Clients that stay, and requests that are answered at one time. When more clients are there, those give way that have
    /// asked nothing for the longest. Four times as many are there at most; further ones wait to be accepted.
    pub connections: usize,
    /// Bytes of the head of a request, at least 8192.
    pub head: usize,
    /// How long a client may take to send it, from the connection's beginning, or from the answer before.
    pub reading: Duration,
    /// How long a client may take to read an answer.
    pub writing: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            head: 16 * 1024,
            reading: Duration::from_secs(5),
            writing: Duration::from_secs(10),
        }
    }
}

/// How the group's health is looked at.
#[derive(Clone, Debug)]
pub struct Health {
    /// When it is well.
    pub rules: verdict::Rules,
    /// How long a look may take.
    pub whole: Duration,
    /// How long a member's own checks may take of that.
    pub checks: Duration,
}

/// How the group's metrics are given.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// How long the members may take.
    pub timeout: Duration,
    /// How they are rendered.
    pub options: Options,
    /// The format; `None`: the one that the client wants.
    pub format: Option<Format>,
}
