//! A call lane that JavaScript refuses, because of what it has brought.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use process_agent::error::AgentError;
use process_agent::inbox::Notice;
use support::{options, pair};

#[test]
fn a_refused_lane_that_a_thread_reads_ends_at_both_ends_and_its_process_joins_again() {
    let runtime = tempfile::tempdir().unwrap();
    let (mut primary, epoch, mut worker, lane) = pair(|| options(runtime.path()));
    worker.agent.lane(lane).unwrap().end(Err(AgentError::BadFrame("no calls".into())));
    for member in [&mut worker, &mut primary] {
        member.until_notice("the end of the lane", |notice| {
            matches!(notice, Notice::LaneClosed { .. }).then_some(())
        });
    }
    let again = worker.lane(1);
    worker.send(again);
    assert!(worker
        .notices()
        .all(|notice| !matches!(notice, Notice::Elected { epoch: other, .. } if *other != epoch)));
}
