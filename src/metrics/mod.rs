//! One truth from the metrics of several processes. No I/O: bytes and times come in, text goes out.
//!
//! * [`model`]: families, series, values, exemplars.
//! * [`schema`], [`snapshot`]: how they travel: names once, numbers often.
//! * [`parse`], [`write`](mod@write): the text formats.
//!
//! Nothing here trusts a member: lengths and counts are bounded ([`limits`]) and a mistake is named, not followed.

pub mod error;
pub mod limits;
pub mod model;
mod number;
pub mod parse;
pub mod schema;
mod schema_json;
pub mod snapshot;
mod wire;
pub mod write;

pub use error::{MetricsError, Result};
