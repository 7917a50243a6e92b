//! One truth from the metrics of several processes. No I/O: bytes and times come in, text goes out.
//!
//! * [`model`]: families, series, values, exemplars. [`own`]: those that the agent measures itself.
//! * [`schema`], [`snapshot`]: how a member sends them: names once, numbers often.
//! * [`parse`], [`mod@write`]: the two text formats.
//! * `catalog`, `row`, `binding`: a schema's series among all that the group has. `rule`, `merge`: how values become one.
//! * `fold`: what the dead have left makes room for the living.
//! * `process_wide`: what all threads of a process say alike counts once.
//! * `totals`, `member`: nothing goes backwards, whoever dies or begins anew.
//! * [`aggregate`] owns all of that for a group; [`render`] makes an answer of it, `state` bytes for the next primary.
//!
//! ```text
//!  member      prom-client ── Float64Array ──▶ Snapshot ─┐       (and a Schema, when there is another series)
//!  broker      Aggregate: put_schema, put_snapshot ◀─────┘ ──▶ render ──▶ text
//!                │ to_bytes, before an answer leaves
//!  file          ▼
//!  next broker Aggregate::from_bytes: the dead count, who joins again replaces its own
//! ```
//!
//! Nothing here trusts a member: lengths and counts are bounded ([`limits`]) and a mistake is named, not followed.

pub mod aggregate;
mod binding;
mod catalog;
pub mod error;
pub mod fold;
pub mod limits;
mod member;
mod merge;
pub mod model;
mod number;
pub mod own;
pub mod parse;
mod process_wide;
pub mod render;
mod row;
mod rule;
pub mod schema;
mod schema_json;
pub mod snapshot;
mod state;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::float_cmp, reason = "tests fail by panicking, and mean exact numbers")]
mod tests;
mod totals;
mod wire;
pub mod write;

pub use error::{MetricsError, Result};
pub use member::Incarnation;
pub use merge::process_label;
