//! What agents leave behind: nothing. One test alone in its process, so that it can count.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;

use process_agent::inbox::Notice;
use process_agent::role::Epoch;

use support::{options, Member};

fn count(what: &str) -> usize {
    fs::read_dir(format!("/proc/self/{what}")).unwrap().count()
}

#[test]
fn an_agent_that_has_ended_leaves_no_thread_no_descriptor_and_no_file_but_those_of_the_group() {
    let runtime = tempfile::tempdir().unwrap();
    // The first one may make what a process has once.
    Member::start(options(runtime.path())).until_elected(Epoch(0));
    let before = (count("task"), count("fd"));
    for _ in 0..20 {
        let mut members: Vec<_> = (0..5).map(|_| Member::start(options(runtime.path()))).collect();
        for member in &mut members {
            member.until_role(Epoch(0));
        }
        for member in &mut members {
            member.agent.end();
            member.take();
            assert!(member.notices().any(|notice| matches!(notice, Notice::Closed)));
        }
    }
    assert_eq!((count("task"), count("fd")), before);
    let group = fs::read_dir(runtime.path()).unwrap().next().unwrap().unwrap().path();
    let left: Vec<_> = fs::read_dir(group).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["lock"]);
}
