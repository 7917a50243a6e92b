//! Folders of groups that nobody holds any more.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use process_agent::agent::Options;
use process_agent::role::group::{socket_path, GroupKey};
use process_agent::role::Epoch;

use support::{options, Member, BOUND};

/// Folders as managers leave them whose processes were killed. They are there at once, as a whole: who starts clears one
/// that is being made, too.
fn left_by_the_dead(runtime: &Path, count: u32) {
    let elsewhere = tempfile::tempdir_in(runtime.parent().unwrap()).unwrap();
    for pid in 1..=count {
        let key = GroupKey::new(&format!("cluster:{pid}"), &format!("cluster:{pid}:1"));
        let folder = key.folder(elsewhere.path());
        fs::DirBuilder::new().mode(0o700).create(&folder).unwrap();
        drop(UnixListener::bind(socket_path(&folder)).unwrap());
        fs::write(folder.join("lock"), format!("{:020}\n", 1_700_000_000_000_u64 + u64::from(pid))).unwrap();
        fs::write(folder.join("metrics.0"), "x").unwrap();
        fs::rename(&folder, key.folder(runtime)).unwrap();
    }
}

fn folders(runtime: &Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(runtime).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_dir()).collect()
}

fn until_left(runtime: &Path, expected: &BTreeSet<PathBuf>) {
    let began = Instant::now();
    while folders(runtime) != *expected {
        assert!(began.elapsed() < BOUND, "{:?} instead of {expected:?}", folders(runtime));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn sixteen_that_start_at_once_clear_what_two_hundred_dead_groups_have_left_and_nothing_else() {
    let runtime = tempfile::tempdir().unwrap();
    let mut living =
        Member::start(Options { group_key: "configured:living".into(), ..options(runtime.path()) });
    let living_epoch = living.until_elected(Epoch(0));
    left_by_the_dead(runtime.path(), 200);

    let mut members: Vec<_> = (0..16).map(|_| Member::start(options(runtime.path()))).collect();
    let roles: Vec<_> = members.iter_mut().map(|member| member.until_role(Epoch(0))).collect();
    assert_eq!(roles.iter().filter(|(primary, _)| *primary).count(), 1, "{roles:?}");
    assert!(roles.iter().all(|(_, epoch)| *epoch == roles[0].1), "{roles:?}");

    let held = [&living, &members[0]].map(|member| member.agent.folder().to_owned());
    until_left(runtime.path(), &held.into());
    // It still leads, in the folder that it has made.
    let mut worker =
        Member::start(Options { group_key: "configured:living".into(), ..options(runtime.path()) });
    assert_eq!(worker.until_following(Epoch(0)), living_epoch);
}

#[test]
fn one_start_clears_a_bounded_part() {
    let runtime = tempfile::tempdir().unwrap();
    left_by_the_dead(runtime.path(), 200);
    for (start, left) in [(0, 136), (1, 72), (2, 8), (3, 0)] {
        let group_key = format!("configured:{start}");
        let mut member = Member::start(Options { group_key, ..options(runtime.path()) });
        member.until_elected(Epoch(0));
        let own = usize::from(member.agent.folder().exists());
        let began = Instant::now();
        // Folders of members of this loop that have left are cleared as well.
        while folders(runtime.path()).len() > left + own + start {
            assert!(began.elapsed() < BOUND, "{} are left", folders(runtime.path()).len());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn groups_that_come_and_go_while_others_clear_always_have_one_primary_and_a_higher_epoch() {
    let runtime = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for group in 0..4 {
            let runtime = runtime.path();
            scope.spawn(move || {
                let mut last = Epoch(0);
                for _ in 0..10 {
                    let start = || {
                        let group_key = format!("configured:{group}");
                        Member::start(Options { group_key, ..options(runtime) })
                    };
                    let mut members = [start(), start(), start()];
                    let roles = members.each_mut().map(|member| member.until_role(Epoch(0)));
                    assert_eq!(roles.iter().filter(|(primary, _)| *primary).count(), 1, "{roles:?}");
                    assert!(
                        roles.iter().all(|(_, epoch)| *epoch == roles[0].1 && *epoch > last),
                        "{roles:?}"
                    );
                    last = roles[0].1;
                }
            });
        }
    });
}
