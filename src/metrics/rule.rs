//! How values of several members become one, and what stays of them when they are gone.
//!
//! | series | aggregator | while alive | when gone |
//! | --- | --- | --- | --- |
//! | counters, buckets, sums, counts | `sum` | added | stays in the totals |
//! | the same | `max` | the greatest | stays |
//! | the same | `livesum` and all others | as a gauge | vanishes |
//! | gauges, untyped | `sum`, `livesum` | added | vanishes |
//! | | `first` | that of the process that started first | vanishes |
//! | | `min`, `max`, `average` | the least, the greatest, the mean | vanishes |
//! | | `mostrecent` | the one that changed last | stays until a living member's changes |
//! | | `all` | apart, by a `pid` label | vanishes |
//! | any | `omit` | left out | |
//! | `_created` | | the earliest | stays |
//! | quantiles of a summary | | left out, or on wish the greatest | vanishes |
//!
//! From prom-client: the aggregators, `sum` as the default, that they hold for counters and histograms, too, and NaN: a
//! member's NaN makes NaN of what it is added to or compared with. prom-client has no dead members. From Python's
//! multiprocess mode: `livesum`, `mostrecent`, `all`. There `sum`, `min` and `max` keep what dead processes said; here
//! they don't, because they are prom-client's, whose gauges (open handles, bytes of heap) mean living processes; and
//! `all` is Python's `liveall`, because each restart would leave a series behind for good. prom-client adds the
//! quantiles of summaries, which means nothing.
//!
//! `mostrecent` goes by the snapshot in which a member's value was first seen different, not by the newest snapshot,
//! which would mean a random member of those that have the series. A value that was 0 from the start counts as never
//! set (prom-client gives unlabelled gauges a 0), so that a new process doesn't hide what another has set.

use crate::metrics::model::{Aggregator, Kind, Suffix};

/// What is done with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Add,
    First,
    Least,
    Greatest,
    Mean,
    Latest,
    Earliest,
    Quantile,
    Apart,
    Nothing,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    pub op: Op,
    /// Whether it outlives its member.
    pub stays: bool,
}

/// What several values have become so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cell {
    pub value: f64,
    /// How many values it was made of.
    pub seen: u32,
    /// When the value changed (ms since 1970), where that counts.
    pub at: u64,
}

impl Rule {
    pub fn of(kind: Kind, suffix: Suffix, aggregator: Aggregator) -> Self {
        let counts = !matches!(kind, Kind::Gauge | Kind::Untyped);
        let op = match aggregator {
            Aggregator::Omit => Op::Nothing,
            _ if suffix == Suffix::Created => Op::Earliest,
            _ if kind.inner_label(suffix) == Some("quantile") => Op::Quantile,
            Aggregator::Sum | Aggregator::LiveSum => Op::Add,
            Aggregator::First => Op::First,
            Aggregator::Min => Op::Least,
            Aggregator::Max => Op::Greatest,
            Aggregator::Average => Op::Mean,
            Aggregator::MostRecent => Op::Latest,
            Aggregator::All => Op::Apart,
        };
        let stays = match op {
            Op::Add => counts && aggregator == Aggregator::Sum,
            Op::Greatest => counts,
            Op::Earliest | Op::Latest => true,
            _ => false,
        };
        Self { op, stays }
    }

    /// Whether it must never go backwards: a fall means that the process has begun to count anew.
    pub fn is_total(self) -> bool {
        self.stays && self.op == Op::Add
    }
}

impl Cell {
    pub fn take(&mut self, op: Op, value: f64, at: u64) {
        let first = self.seen == 0;
        self.seen = self.seen.saturating_add(1);
        match op {
            Op::Add | Op::Mean => self.value += value,
            Op::First if first => self.value = value,
            Op::Least | Op::Greatest | Op::Quantile | Op::Earliest | Op::Latest if first => {
                (self.value, self.at) = (value, at);
            }
            Op::Least if value < self.value || value.is_nan() => self.value = value,
            Op::Greatest | Op::Quantile if value > self.value || value.is_nan() => self.value = value,
            Op::Earliest => self.value = self.value.min(value),
            Op::Latest if at >= self.at => (self.value, self.at) = (value, at),
            _ => {}
        }
    }

    /// The value, of those that were taken.
    pub fn result(&self, op: Op) -> f64 {
        if op == Op::Mean {
            self.value / f64::from(self.seen)
        } else {
            self.value
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact numbers are meant")]
mod tests {
    use super::*;

    fn of(op: Op, values: &[f64]) -> f64 {
        let mut cell = Cell::default();
        for (at, value) in values.iter().enumerate() {
            cell.take(op, *value, at as u64);
        }
        cell.result(op)
    }

    #[test]
    fn values_become_one() {
        let values = [2.0, -1.0, 5.0];
        assert_eq!(of(Op::Add, &values), 6.0);
        assert_eq!(of(Op::Mean, &values), 2.0);
        assert_eq!(of(Op::First, &values), 2.0);
        assert_eq!(of(Op::Least, &values), -1.0);
        assert_eq!(of(Op::Greatest, &values), 5.0);
        assert_eq!(of(Op::Earliest, &values), -1.0);
        assert_eq!(of(Op::Latest, &values), 5.0);
        assert_eq!(of(Op::Least, &[3.0, 4.0]), 3.0);
        assert_eq!(of(Op::Greatest, &[-3.0, -4.0]), -3.0);
    }

    #[test]
    fn the_odd_numbers_do_as_in_prom_client() {
        for op in [Op::Add, Op::Mean, Op::Least, Op::Greatest] {
            assert!(of(op, &[1.0, f64::NAN, 2.0]).is_nan(), "{op:?}");
        }
        assert!(of(Op::Add, &[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert_eq!(of(Op::Add, &[f64::INFINITY, 1.0]), f64::INFINITY);
        assert_eq!(of(Op::Add, &[-0.0]).to_bits(), 0);
        assert_eq!(of(Op::Add, &[9_007_199_254_740_991.0, 1.0]), 9_007_199_254_740_992.0);
    }

    #[test]
    fn totals_stay_and_gauges_vanish() {
        let stays = |kind, suffix, aggregator| Rule::of(kind, suffix, aggregator).stays;
        assert!(stays(Kind::Counter, Suffix::Value, Aggregator::Sum));
        assert!(stays(Kind::Histogram, Suffix::Bucket, Aggregator::Sum));
        assert!(stays(Kind::Summary, Suffix::Sum, Aggregator::Sum));
        assert!(stays(Kind::Counter, Suffix::Value, Aggregator::Max));
        assert!(stays(Kind::Gauge, Suffix::Value, Aggregator::MostRecent));
        assert!(!stays(Kind::Summary, Suffix::Value, Aggregator::Sum));
        assert!(!stays(Kind::Counter, Suffix::Value, Aggregator::LiveSum));
        for aggregator in [Aggregator::Sum, Aggregator::Max, Aggregator::First, Aggregator::All] {
            assert!(!stays(Kind::Gauge, Suffix::Value, aggregator));
        }
    }
}
