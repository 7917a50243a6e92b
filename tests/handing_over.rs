//! What a primary leaves for the next one, when that one fails or the folder is not as it should be.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command as Program;
use std::time::{Duration, Instant};

use bytes::Bytes;
use process_agent::agent::Options;
use process_agent::inbox::{Item, Notice};
use process_agent::ipc::frame::Codec;
use process_agent::ipc::parcel::Body;
use process_agent::membership::Command;
use process_agent::role::{handover, Epoch};

use support::{options, Member, LIMITS};

fn state() -> Body {
    Body { codec: Codec::Text, bytes: Bytes::from_static(b"{\"count\":7}") }
}

/// Makes `primary` hand `state` over, does `meanwhile` just before it lets go, and waits until it has.
fn hand_over(primary: &mut Member, state: Body, meanwhile: impl FnOnce(&Path)) {
    primary.agent.tell(Command::HandOver { state: Some(state), grace: Duration::ZERO });
    primary.until_notice("the last word", |notice| matches!(notice, Notice::Finishing).then_some(()));
    meanwhile(primary.agent.folder());
    primary.agent.finish_lanes();
    primary.until_notice("the end", |notice| matches!(notice, Notice::Leaderless { .. }).then_some(()));
}

fn state_of_elected(member: &mut Member, after: Epoch) -> Option<Body> {
    member.until("the election", |item| match item {
        Item::Letter(letter) => match &letter.notice {
            Notice::Elected { epoch, .. } if *epoch > after => Some(Some(letter.body.clone())),
            _ => None,
        },
        Item::Notice(Notice::Elected { epoch, .. }) if *epoch > after => Some(None),
        _ => None,
    })
}

#[test]
fn a_primary_whose_first_listen_fails_leaves_the_state_for_the_next_try() {
    let runtime = tempfile::tempdir().unwrap();
    let mut primary = Member::start(options(runtime.path()));
    let epoch = primary.until_elected(Epoch(0));
    let mut next = Member::start(options(runtime.path()));
    next.until_following(Epoch(0));
    let socket = primary.agent.folder().join("socket");
    hand_over(&mut primary, state(), |_| {
        fs::remove_file(&socket).unwrap();
        fs::create_dir(&socket).unwrap();
    });
    let failed = next.until_notice("the failure", |notice| match notice {
        Notice::Failed { code, message } => Some((*code, message.clone())),
        _ => None,
    });
    assert_eq!(failed.0, "ERR_AGENT_RUNTIME_DIR", "{failed:?}");
    fs::remove_dir(&socket).unwrap();
    assert_eq!(state_of_elected(&mut next, epoch), Some(state()));
    let left: Vec<_> =
        fs::read_dir(next.agent.folder()).unwrap().map(|each| each.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name == "handover"), "{left:?}");
}

#[test]
fn another_member_gets_the_state_that_one_whose_start_has_failed_had_in_its_hands() {
    let runtime = tempfile::tempdir().unwrap();
    let mut primary = Member::start(options(runtime.path()));
    let epoch = primary.until_elected(Epoch(0));
    let folder = primary.agent.folder().to_owned();
    hand_over(&mut primary, state(), |folder| {
        fs::remove_file(folder.join("socket")).unwrap();
        fs::create_dir(folder.join("socket")).unwrap();
    });
    let mut failing = Member::start(options(runtime.path()));
    failing.until_notice("the failure", |notice| matches!(notice, Notice::Failed { .. }).then_some(()));
    fs::remove_dir(folder.join("socket")).unwrap();
    let mut next = Member::start(options(runtime.path()));
    assert_eq!(state_of_elected(&mut next, epoch), Some(state()));
}

fn make_fifo(path: &Path) {
    assert!(Program::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn fifos_in_the_folder_hold_no_election_up() {
    let runtime = tempfile::tempdir().unwrap();
    let folder = {
        let mut first = Member::start(options(runtime.path()));
        first.until_elected(Epoch(0));
        first.agent.folder().to_owned()
    };
    for name in ["handover", "handover.new", "metrics.0", "metrics.1", "socket"] {
        let path = folder.join(name);
        let _ = fs::remove_file(&path);
        make_fifo(&path);
    }
    let mut member = Member::start(options(runtime.path()));
    let epoch = member.until_elected(Epoch(0));
    let mut worker = Member::start(options(runtime.path()));
    assert_eq!(worker.until_following(Epoch(0)), epoch);
}

#[test]
fn a_fifo_in_the_lock_s_place_is_an_error_that_names_it() {
    let runtime = tempfile::tempdir().unwrap();
    let folder = {
        let mut first = Member::start(options(runtime.path()));
        first.until_elected(Epoch(0));
        first.agent.folder().to_owned()
    };
    fs::remove_file(folder.join("lock")).unwrap();
    make_fifo(&folder.join("lock"));
    let mut member = Member::start(options(runtime.path()));
    let message = member.until_notice("the failure", |notice| match notice {
        Notice::Failed { message, .. } => Some(message.clone()),
        _ => None,
    });
    assert!(message.contains("lock") && message.contains("no regular file"), "{message}");
}

#[test]
fn an_error_that_stays_is_told_once() {
    let runtime = tempfile::tempdir().unwrap();
    let mut primary = Member::start(options(runtime.path()));
    primary.until_elected(Epoch(0));
    let mut next = Member::start(options(runtime.path()));
    next.until_following(Epoch(0));
    hand_over(&mut primary, state(), |folder| {
        fs::remove_file(folder.join("socket")).unwrap();
        fs::create_dir(folder.join("socket")).unwrap();
    });
    // The second time it is said to nobody but the log.
    next.until_notice("the second failure", |notice| match notice {
        Notice::Log { level: "debug", message } if message.starts_with("still:") => Some(()),
        _ => None,
    });
    assert_eq!(next.notices().filter(|notice| matches!(notice, Notice::Failed { .. })).count(), 1);
}

/// A file system of 256 kB, or `None` where none may be mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Program::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs"])
            .arg(folder.path())
            .output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Program::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_state_that_does_not_fit_on_the_disk_leaves_nothing_there() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let runtime = disk.0.path().join("runtime");
    let mut primary = Member::start(Options { limits: LIMITS, ..options(&runtime) });
    let epoch = primary.until_elected(Epoch(0));
    let mut next = Member::start(options(&runtime));
    next.until_following(Epoch(0));
    let large = Body { codec: Codec::Text, bytes: vec![b'7'; 512 * 1024].into() };
    hand_over(&mut primary, large, |_| {});
    primary.until_notice("the warning", |notice| match notice {
        Notice::Log { level: "warn", message } if message.contains("can't be left") => Some(()),
        _ => None,
    });
    assert_eq!(state_of_elected(&mut next, epoch), None);
    assert!(!next.agent.folder().join("handover.new").exists());
    // The room is there again.
    fs::write(runtime.join("room"), vec![0; 128 * 1024]).unwrap();
}

#[test]
fn a_disk_that_is_full_is_not_filled_with_half_a_state() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: no file system can be mounted here");
        return;
    };
    let error = handover::leave(disk.0.path(), Epoch(7), &vec![0; 512 * 1024]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(fs::read_dir(disk.0.path()).unwrap().count(), 0);
    let began = Instant::now();
    assert_eq!(handover::take(disk.0.path(), Epoch(8), 100), None);
    assert!(began.elapsed() < Duration::from_secs(1));
}
