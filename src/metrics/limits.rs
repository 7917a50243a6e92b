//! The bounds of everything that comes from outside.

/// Series of one member.
pub const MAX_SERIES: usize = 100_000;
/// Families of one member.
pub const MAX_FAMILIES: usize = 10_000;
/// Series of the whole group, the retained ones among them.
pub const MAX_ROWS: usize = 250_000;
/// Members of which something is known.
pub const MAX_MEMBERS: usize = 4096;
/// Members that are gone and may come back: see `aggregate`.
pub const MAX_GONE: usize = 256;
/// Labels of one series.
pub const MAX_LABELS: usize = 128;
/// Bytes of a metric's or label's name.
pub const MAX_NAME: usize = 1024;
/// Bytes of a label's value, a help text, or a member's name.
pub const MAX_TEXT: usize = 64 * 1024;
/// Bytes of a schema's JSON, of an exposition, and of a snapshot.
pub const MAX_INPUT: usize = 64 * 1024 * 1024;
/// Bytes of a snapshot's exemplars (JSON).
pub const MAX_EXEMPLARS: usize = 4 * 1024 * 1024;
