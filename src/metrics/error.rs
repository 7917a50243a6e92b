//! What can be wrong with what a member sends, or with a state that is to be adopted.

use thiserror::Error;

use crate::metrics::schema::SchemaId;

/// See the module. Every variant names the mistake, so that its text can be logged as it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MetricsError {
    /// A schema's JSON can't be read, or what it describes can't be exposed.
    #[error("bad metrics schema: {0}")]
    BadSchema(String),
    /// The bytes are no snapshot.
    #[error("bad metrics snapshot: {0}")]
    BadSnapshot(String),
    /// The snapshot's schema is not known here: the member must send it.
    #[error("metrics schema {0} is unknown: send it before its snapshots")]
    UnknownSchema(SchemaId),
    /// The snapshot has another number of values than its schema has series.
    #[error("the metrics snapshot has {values} numbers, but its schema {schema} has {series} series")]
    Misfit {
        /// The schema that the snapshot names.
        schema: SchemaId,
        /// How many numbers came.
        values: usize,
        /// How many the schema asks for.
        series: usize,
    },
    /// Exposition text that doesn't follow its format.
    #[error("bad exposition text, line {line}: {reason}")]
    BadText {
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// A bound of the aggregate is reached.
    #[error("too many {what} in the group's metrics: at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The bytes are no state of an aggregate, or a damaged one.
    #[error("bad metrics state: {0}")]
    BadState(&'static str),
    /// A state can be adopted only before a member was forgotten: its counters could be counted twice.
    #[error("too late to adopt a metrics state: totals were retained already")]
    TooLate,
}

/// The room's result.
pub type Result<T, E = MetricsError> = std::result::Result<T, E>;
