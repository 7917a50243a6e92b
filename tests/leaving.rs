//! Members that go: what is said of them, and what they leave behind.

#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::path::Path;
use std::time::{Duration, Instant};

use process_agent::agent::Options;
use process_agent::inbox::Notice;
use process_agent::ipc::health::Condition;
use process_agent::ipc::message::{MemberState, Message};
use process_agent::ipc::parcel::{Body, Parcel};
use process_agent::membership::Command;
use process_agent::role::{Epoch, MemberId};

use support::by_hand::joining;
use support::{options, Member};

/// Members of one group, the first of which is primary; their threads tell them apart.
fn group(runtime: &Path, size: u32) -> Vec<Member> {
    let start = |thread_id| {
        let mut member = Member::start(Options { thread_id, ..options(runtime) });
        member.until_role(Epoch(0));
        member.agent.tell(Command::Ready);
        member
    };
    (1..=size).map(start).collect()
}

/// The files of the group, but the socket.
fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.retain(|name| name != "socket");
    names.sort();
    names
}

fn until_closed(member: &mut Member) {
    member.until_notice("the end", |notice| matches!(notice, Notice::Closed).then_some(()));
}

#[test]
fn a_member_whose_connection_has_ended_is_heard_out_and_is_none_that_does_not_read() {
    let runtime = tempfile::tempdir().unwrap();
    let [mut primary, other]: [Member; 2] = group(runtime.path(), 2).try_into().ok().unwrap();
    let epoch = primary.until_elected(Epoch(0));
    let mut going = joining(&primary.agent.folder().join("socket"), 7);
    going.read_exact(&mut [0]).unwrap();
    // What is written to it fails from now on.
    going.shutdown(Shutdown::Read).unwrap();
    let began = Instant::now();
    let mut said = false;
    for request in 1.. {
        let parcel = Parcel::Publish { request, topic: "t".into() };
        other.agent.tell(Command::Parcel(epoch, Box::new((parcel, Body::none()))));
        std::thread::sleep(Duration::from_millis(2));
        if !said && began.elapsed() > Duration::from_millis(20) {
            said = true;
            let leaving = Message::State { id: MemberId(0), state: MemberState::Leaving };
            going.write_all(&leaving.to_bytes(epoch)).unwrap();
        }
        if began.elapsed() > Duration::from_millis(150) {
            break;
        }
    }
    let left = primary.until_notice("its leave", |notice| match notice {
        Notice::MemberLeft { member } => Some((member.pid, member.state)),
        _ => None,
    });
    assert_eq!(left, (7, MemberState::Leaving));
    primary.agent.tell(Command::AskHealth(1));
    let dead = primary.until_notice("the standings", |notice| match notice {
        Notice::Health { members, .. } => {
            Some(members.iter().filter(|each| each.state == Condition::Dead).count())
        }
        _ => None,
    });
    assert_eq!(dead, 0);
    let warned = |notice: &Notice| matches!(notice, Notice::Log { level: "warn", .. });
    assert!(!primary.notices().any(warned), "{:#?}", primary.told);
}

#[test]
fn members_that_all_leave_at_once_leave_no_metrics_behind() {
    let runtime = tempfile::tempdir().unwrap();
    for _ in 0..10 {
        let mut members = group(runtime.path(), 6);
        let folder = members[0].agent.folder().to_owned();
        assert!(files(&folder).contains(&"metrics.0".into()), "{:?}", files(&folder));
        for member in &members {
            member.agent.tell(Command::Leave);
        }
        members.iter_mut().for_each(until_closed);
        assert_eq!(files(&folder), ["lock"]);
    }
}

#[test]
fn the_metrics_stay_as_long_as_a_member_does_also_one_that_can_not_lead() {
    let runtime = tempfile::tempdir().unwrap();
    let mut primary = group(runtime.path(), 1).remove(0);
    let folder = primary.agent.folder().to_owned();
    let mut script = Member::start(Options { candidate: false, thread_id: 2, ..options(runtime.path()) });
    script.until_following(Epoch(0));
    primary.agent.tell(Command::Leave);
    until_closed(&mut primary);
    assert!(files(&folder).len() > 1, "{:?}", files(&folder));
    script.agent.tell(Command::Leave);
    until_closed(&mut script);
    assert_eq!(files(&folder), ["lock"]);
}
