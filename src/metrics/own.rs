//! What the agent measures itself, as families. Names follow Prometheus' conventions: base units, `_total`.
//!
//! Here is what only the broker knows ([`GroupReadings`]), written behind the group's metrics when they are asked for. What
//! each member counts of its calls (`ts/metrics/own.ts`) goes into its snapshots beside the application's own metrics, so
//! that it adds up and stays.

use crate::metrics::model::{Aggregator, Family, Kind, Labels, Sample, Series, Suffix};

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
    fn gauge(self, readings: impl IntoIterator<Item = Reading>) -> Family {
        self.with(Kind::Gauge, readings.into_iter().map(|reading| (Suffix::Value, reading)))
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
    use crate::metrics::write::{write, Format};

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
