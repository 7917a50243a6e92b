//! A look at the group's health, as `ts/health/group-check.ts` looks: at what the broker sees of each member, and at what
//! those that run say of their own checks, in a given time. Who does not answer counts by what is seen of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::verdict::{group_health, GroupHealth, Report};
use super::Health;
use crate::ipc::broker::{Broker, Inquiry};
use crate::ipc::frame::Codec;
use crate::ipc::health::Condition;
use crate::ipc::message::MemberInfo;
use crate::ipc::parcel::{Body, Parcel};
use crate::time::{millis, now_ms};

/// The name under which members ask each other for their checks.
const CHECKS: &str = "!checks";
/// `Status.Value` in `ts/engine/wire.ts`.
const VALUE: u8 = 0;
/// How often the broker is asked again while checks are still awaited: a member may get stuck meanwhile.
const AGAIN: Duration = Duration::from_millis(100);

/// How the group does.
pub(super) async fn look(broker: &Broker, health: &Health) -> GroupHealth {
    let until = Instant::now() + health.whole;
    let mut reports = BTreeMap::new();
    let mut inquiry = broker.ask_the_well(CHECKS, format!("[{}]", millis(health.checks)), health.whole);
    loop {
        let standings = broker.standings();
        let left = until.saturating_duration_since(Instant::now());
        let is_complete = standings
            .iter()
            .all(|each| each.state != Condition::Ok || reports.contains_key(&who(&each.member)));
        if is_complete || inquiry.is_none() || left.is_zero() {
            let members = standings.into_iter().map(|each| {
                let report = reports.remove(&who(&each.member)).flatten();
                (each, report)
            });
            return group_health(health.rules, members, now_ms());
        }
        match tokio::time::timeout(AGAIN.min(left), next(&mut inquiry)).await {
            Ok(Some((member, report))) => {
                reports.insert(who(&member), report);
            }
            Ok(None) => inquiry = None,
            Err(_) => {}
        }
    }
}

/// What one more member says of itself: nothing, when it has no such checks, or says it in words of another version.
async fn next(inquiry: &mut Option<Inquiry>) -> Option<(MemberInfo, Option<Report>)> {
    match inquiry.as_mut()?.next().await? {
        (Parcel::Outcome { member, status, .. }, body) => Some((member, read(status, &body))),
        _ => None,
    }
}

fn read(status: u8, body: &Body) -> Option<Report> {
    if status != VALUE || body.codec != Codec::Text {
        return None;
    }
    serde_json::from_slice(&body.bytes).ok()
}

/// Not by id: one of the dead may have had it in a tenure before.
fn who(member: &MemberInfo) -> (u32, u32) {
    (member.pid, member.thread_id)
}
