//! What the codecs cost: `cargo bench`, about a minute; `cargo bench -- reader` for a part of it.
//!
//! * [`frames`]: the header, and the reader over streams of different shapes.
//! * [`messages`]: what is said on the control lane, and parcels.
//! * [`ring`]: one frame through shared memory, and over a socket (Linux).
//! * [`metrics`]: snapshots come in, the group's text goes out, the state for the next primary is written and read.
//!
//! The table of pending calls is not here, because it is JavaScript's: Rust can't settle a promise cheaply. Its
//! benchmark is `benchmark/pending.js`. What whole calls cost, between processes, is measured by `npm run bench`.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod frames;
mod messages;
mod metrics;
#[cfg(target_os = "linux")]
mod ring;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    // Long enough for a difference of a few percent to be seen, short enough for all to end in two minutes.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    frames::frames(&mut criterion);
    messages::messages(&mut criterion);
    #[cfg(target_os = "linux")]
    ring::ring(&mut criterion);
    metrics::metrics(&mut criterion);
    criterion.final_summary();
}
