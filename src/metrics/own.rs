//! What the agent measures itself, as families. Names follow Prometheus' conventions: base units, `_total`.
//!
//! Two parts: what each member counts ([`MemberReadings`]) goes into its snapshots beside the application's own metrics
//! ([`Schema::joined`](super::schema::Schema::joined)), so that it adds up and stays; what only the broker knows
//! ([`GroupReadings`]) is written behind the group's metrics when they are asked for.

use crate::metrics::model::{Aggregator, Family, Kind, Labels, Sample, Series, Suffix};
use crate::metrics::number;

/// Upper bounds (seconds) of the buckets of calls' durations.
pub const DURATIONS: [f64; 12] =
    [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];

/// How calls can end, as the label `outcome` says it.
pub const OUTCOMES: [&str; 4] = ["ok", "not-sent", "unknown", "executed"];

/// What a member has measured since it started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MemberReadings {
    /// How often it has become primary or a worker.
    pub role_changes: u64,
    /// Calls that it has made, by [`OUTCOMES`].
    pub calls: [u64; OUTCOMES.len()],
    /// How long they took.
    pub durations: Durations,
    /// Calls that wait for their outcome.
    pub queue_depth: u64,
    /// Bytes that calls and replies took, in.
    pub bytes_in: u64,
    /// And out.
    pub bytes_out: u64,
}

/// How long calls took.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durations {
    /// Calls by bucket, not cumulative; the last is beyond all bounds.
    counts: [u64; DURATIONS.len() + 1],
    sum: f64,
}

/// What the broker knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupReadings<'a> {
    /// The primary's epoch.
    pub epoch: u64,
    /// How many members are in each state.
    pub states: Vec<(&'a str, u64)>,
    /// Of each member.
    pub members: Vec<MemberReading<'a>>,
}

/// What the broker knows of a member.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MemberReading<'a> {
    /// Its name.
    pub member: &'a str,
    /// Its pid.
    pub pid: u32,
    /// For how long its event loop has been silent (seconds), if that is known.
    pub lag: Option<f64>,
    /// How old its last snapshot is (seconds), if there is one.
    pub snapshot_age: Option<f64>,
}

impl Durations {
    /// A call took so long.
    pub fn observe(&mut self, seconds: f64) {
        let bucket = DURATIONS.iter().position(|bound| seconds <= *bound).unwrap_or(DURATIONS.len());
        self.counts[bucket] += 1;
        self.sum += seconds;
    }
}

impl MemberReadings {
    /// As families, always with the same series in the same order.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let calls = OUTCOMES.iter().zip(self.calls);
        vec![
            family("process_agent_role_changes_total", "Times that a member became primary or a worker.")
                .counter([sample([], float(self.role_changes))]),
            family("process_agent_calls_total", "Calls of members to the primary, by how they ended.")
                .counter(calls.map(|(outcome, count)| sample([("outcome", outcome)], float(count)))),
            family("process_agent_call_duration_seconds", "How long calls to the primary took.")
                .histogram(&self.durations),
            family("process_agent_queue_depth", "Calls that wait for their outcome.")
                .gauge([sample([], float(self.queue_depth))]),
            family("process_agent_bytes_total", "Bytes of calls and replies, by direction.").counter([
                sample([("direction", "in")], float(self.bytes_in)),
                sample([("direction", "out")], float(self.bytes_out)),
            ]),
        ]
    }
}

impl GroupReadings<'_> {
    /// As families.
    #[must_use]
    pub fn families(&self) -> Vec<Family> {
        let states = self.states.iter().map(|(state, count)| sample([("state", state)], float(*count)));
        let lags = self.members.iter().filter_map(|of| Some(sample([("member", of.member)], of.lag?)));
        let ages = self.members.iter().filter_map(|of| {
            Some(sample([("member", of.member), ("pid", &of.pid.to_string())], of.snapshot_age?))
        });
        vec![
            family("process_agent_members", "Members of the group, by state.").gauge(states),
            family("process_agent_epoch", "The primary's epoch.").gauge([sample([], float(self.epoch))]),
            family("process_agent_event_loop_lag_seconds", "For how long a member's event loop is silent.")
                .gauge(lags),
            family("process_agent_member_snapshot_age_seconds", "How old a member's part of this answer is.")
                .gauge(ages),
        ]
    }
}

/// Labels and value of a series without a suffix.
type Reading = (Vec<(String, String)>, f64);

fn sample<const N: usize>(labels: [(&str, &str); N], value: f64) -> Reading {
    (labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), value)
}

/// A family without its samples.
struct Named(&'static str, &'static str);

fn family(name: &'static str, help: &'static str) -> Named {
    Named(name, help)
}

impl Named {
    fn counter(self, readings: impl IntoIterator<Item = Reading>) -> Family {
        self.with(Kind::Counter, readings.into_iter().map(|reading| (Suffix::Value, reading)))
    }

    fn gauge(self, readings: impl IntoIterator<Item = Reading>) -> Family {
        self.with(Kind::Gauge, readings.into_iter().map(|reading| (Suffix::Value, reading)))
    }

    fn histogram(self, durations: &Durations) -> Family {
        let mut below = 0;
        let bounds = DURATIONS.iter().copied().chain([f64::INFINITY]);
        let mut readings: Vec<_> = bounds
            .zip(durations.counts)
            .map(|(bound, count)| {
                below += count;
                (Suffix::Bucket, sample([("le", &number::to_string(bound))], float(below)))
            })
            .collect();
        readings.push((Suffix::Sum, sample([], durations.sum)));
        readings.push((Suffix::Count, sample([], float(below))));
        self.with(Kind::Histogram, readings)
    }

    /// Names and labels are those above, and a member's name fits every label: nothing is refused.
    fn with(self, kind: Kind, readings: impl IntoIterator<Item = (Suffix, Reading)>) -> Family {
        let sample = |(suffix, (labels, value)): (Suffix, Reading)| {
            let series = Labels::new(labels).and_then(|labels| Series::new(kind, suffix, labels)).ok()?;
            Some(Sample { series, value, exemplar: None })
        };
        Family {
            name: self.0.to_owned(),
            help: self.1.to_owned(),
            kind,
            aggregator: Aggregator::Sum,
            samples: readings.into_iter().filter_map(sample).collect(),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts up to 2^53 are exact")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::metrics::schema::Schema;
    use crate::metrics::write::{write, Format};

    #[test]
    fn readings_are_families_with_the_same_series_each_time() {
        let mut readings = MemberReadings::default();
        let (before, _, _) = Schema::split(readings.families()).unwrap();
        readings.durations.observe(0.002);
        readings.durations.observe(60.0);
        readings.calls[0] = 2;
        let (after, values, _) = Schema::split(readings.families()).unwrap();
        assert_eq!(before.id(), after.id());
        assert_eq!(values.len(), after.columns());
        let text = String::from_utf8(write(&readings.families(), Format::Text)).unwrap();
        for line in [
            "process_agent_calls_total{outcome=\"ok\"} 2",
            "process_agent_call_duration_seconds_bucket{le=\"0.001\"} 0",
            "process_agent_call_duration_seconds_bucket{le=\"0.0025\"} 1",
            "process_agent_call_duration_seconds_bucket{le=\"+Inf\"} 2",
            "process_agent_call_duration_seconds_sum 60.002",
            "process_agent_bytes_total{direction=\"out\"} 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}: {text}");
        }
    }

    #[test]
    fn the_broker_says_what_it_knows_of_each() {
        let member = MemberReading { member: "7", pid: 12, lag: None, snapshot_age: Some(0.5) };
        let readings = GroupReadings { epoch: 3, states: vec![("ok", 1)], members: vec![member] };
        let text = String::from_utf8(write(&readings.families(), Format::OpenMetrics)).unwrap();
        assert!(text.contains("process_agent_members{state=\"ok\"} 1\n"));
        assert!(text.contains("process_agent_member_snapshot_age_seconds{member=\"7\",pid=\"12\"} 0.5\n"));
        assert!(!text.contains("lag_seconds{"));
    }
}
