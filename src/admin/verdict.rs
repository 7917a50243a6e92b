//! From what is known of the members to what is said of the group: what `ts/health/verdict.ts` says, in the same words.
//! `__test__/support/verdicts.json` holds both to it. No I/O.

use serde::{Deserialize, Serialize};

use crate::ipc::health::{Condition, Standing};
use crate::ipc::message::MemberInfo;

/// How many members a reason names.
const MOST_NAMED: usize = 8;

/// When a group is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// What abnormal members mean.
    pub policy: Policy,
    /// With fewer members it is not.
    pub min_members: usize,
}

/// What abnormal members mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// One is enough to fail.
    All,
    /// Half of all members are.
    Quorum,
}

/// How a group does, in the words of JavaScript's `GroupHealth`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupHealth {
    /// It is well.
    pub status: bool,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    policy: Outcome,
    members: Vec<MemberHealth>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Outcome {
    name: Policy,
    status: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// How a member does, in the words of JavaScript's `MemberHealth`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberHealth {
    member: MemberInfo,
    state: State,
    since: u64,
    lag_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<Vec<Check>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Starting,
    Ok,
    Failing,
    Stuck,
    Frozen,
    Leaving,
    Dead,
}

/// What a member says of itself (`CheckReport` in `ts/health/checks.ts`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    checks: Vec<Check>,
    #[serde(default)]
    failing_since: Option<u64>,
}

/// What one of its checks says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Check {
    namespace: String,
    status: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What is said of a group with these members at `now` (ms since 1970).
pub fn group_health(
    rules: Rules,
    members: impl IntoIterator<Item = (Standing, Option<Report>)>,
    now: u64,
) -> GroupHealth {
    let members: Vec<_> =
        members.into_iter().map(|(standing, report)| member_health(standing, report, now)).collect();
    let policy = outcome(rules.policy, &members);
    let mut reasons = Vec::new();
    let is_present = |member: &&MemberHealth| !matches!(member.state, State::Dead | State::Leaving);
    let present = members.iter().filter(is_present).count();
    if present < rules.min_members {
        let least = rules.min_members;
        reasons.push(format!("the group has {present} members, health.minMembers is {least}"));
    }
    reasons.extend(policy.reason.clone());
    let status = reasons.is_empty();
    GroupHealth { status, reason: (!status).then(|| reasons.join("; ")), policy, members }
}

fn member_health(standing: Standing, report: Option<Report>, now: u64) -> MemberHealth {
    let Standing { member, state, since, for_ms } = standing;
    let (checks, failing_since) = report.map_or((None, None), |Report { checks, failing_since }| {
        let failed = checks.iter().any(|check| !check.status);
        (Some(checks), failed.then_some(failing_since.unwrap_or(since)))
    });
    let ms = for_ms.unwrap_or_else(|| now.saturating_sub(since));
    let (state, reason) = match state {
        Condition::Ok if failing_since.is_some() => (State::Failing, checks.as_deref().map(failures)),
        Condition::Starting => (State::Starting, None),
        Condition::Ok => (State::Ok, None),
        Condition::Leaving => (State::Leaving, None),
        Condition::Stuck => (State::Stuck, Some(format!("its event loop has been stuck for {ms} ms"))),
        Condition::Frozen => {
            (State::Frozen, Some(format!("its process is frozen, nothing was heard of it for {ms} ms")))
        }
        Condition::Dead => (State::Dead, Some(format!("it died {ms} ms ago, without a goodbye"))),
    };
    let since = failing_since.filter(|_| state == State::Failing).unwrap_or(since);
    MemberHealth { lag_ms: member.lag_ms, member, state, since, checks, reason }
}

fn failures(checks: &[Check]) -> String {
    let failed = checks.iter().filter(|check| !check.status).map(|check| {
        format!("check {} fails: {}", check.namespace, check.reason.as_deref().unwrap_or("undefined"))
    });
    failed.collect::<Vec<_>>().join("; ")
}

fn outcome(policy: Policy, members: &[MemberHealth]) -> Outcome {
    let is_abnormal = |member: &&MemberHealth| {
        matches!(member.state, State::Failing | State::Stuck | State::Frozen | State::Dead)
    };
    let abnormal: Vec<_> = members.iter().filter(is_abnormal).collect();
    let fails = match policy {
        Policy::All => !abnormal.is_empty(),
        Policy::Quorum => !abnormal.is_empty() && abnormal.len() * 2 >= members.len(),
    };
    Outcome { name: policy, status: !fails, reason: fails.then(|| named(&abnormal)) }
}

fn named(members: &[&MemberHealth]) -> String {
    let names = members.iter().take(MOST_NAMED).map(|health| {
        let MemberInfo { id, pid, thread_id, role, .. } = &health.member;
        let thread = if *thread_id == 0 { String::new() } else { format!(" thread {thread_id}") };
        let reason = health.reason.as_deref().unwrap_or_default();
        format!("{role} pid {pid}{thread} (member {id}): {reason}")
    });
    let left = members.len().saturating_sub(MOST_NAMED);
    names.chain((left > 0).then(|| format!("and {left} more"))).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::{json, Map, Value};

    use super::*;

    #[derive(Deserialize)]
    struct Verdicts {
        /// What all members have in common.
        member: Map<String, Value>,
        since: u64,
        now: u64,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Case {
        what: String,
        policy: Policy,
        min_members: usize,
        members: Vec<Given>,
        status: bool,
        reason: Option<String>,
        said: Vec<Value>,
    }

    #[derive(Deserialize)]
    struct Given {
        state: Condition,
        report: Option<Report>,
        #[serde(flatten)]
        own: Map<String, Value>,
    }

    #[test]
    fn the_same_is_said_as_in_java_script() {
        let json = include_str!("../../__test__/support/verdicts.json");
        let Verdicts { member, since, now, cases } = serde_json::from_str(json).unwrap();
        assert!(!cases.is_empty());
        for Case { what, policy, min_members, members, status, reason, said } in cases {
            let members = members.into_iter().map(|Given { state, report, own }| {
                let member = member.clone().into_iter().chain(own).collect::<Map<_, _>>();
                let member = serde_json::from_value(member.into()).unwrap();
                (Standing { member, state, since, for_ms: None }, report)
            });
            let health = group_health(Rules { policy, min_members }, members, now);
            assert_eq!((health.status, &health.reason), (status, &reason), "{what}");
            let told: Vec<_> = health.members.iter().map(in_short).collect();
            assert_eq!(told, said, "{what}");
        }
    }

    fn in_short(health: &MemberHealth) -> Value {
        let mut short = json!({ "state": health.state, "since": health.since });
        if let Some(checks) = &health.checks {
            short["checks"] = checks.len().into();
        }
        if let Some(reason) = &health.reason {
            short["reason"] = reason.as_str().into();
        }
        short
    }
}
