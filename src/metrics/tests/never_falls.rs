//! Nothing goes backwards, and nothing is counted twice: random lives of processes against a model of what they have
//! counted.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use crate::metrics::aggregate::{Aggregate, Put};
use crate::metrics::member::Incarnation;
use crate::metrics::model::{Family, Kind, Suffix};
use crate::metrics::render::{Options, Quantiles};
use crate::metrics::schema::Schema;
use crate::metrics::snapshot::Snapshot;
use crate::metrics::tests::{families, process};

const SLOTS: usize = 4;
/// Histograms are made with one of these.
const BOUNDS: [&[f64]; 3] = [&[1.0, 5.0], &[2.0, 5.0], &[]];

#[derive(Clone, Debug)]
enum Deed {
    /// Counts in a series, and observes.
    Count(usize, u8, u32),
    Push(usize),
    /// The broker takes it for dead; it may push again.
    Forget(usize),
    /// It dies, with what it hasn't pushed; another takes its slot.
    Restart(usize),
    /// Its registry begins anew.
    Reset(usize),
    /// It removes a series.
    Remove(usize, u8),
    /// It makes its histogram again with other bounds.
    Rebucket(usize, usize),
    /// The primary dies. These slots join again in time; the first pushes before the adoption if told.
    Takeover(Vec<usize>, bool),
}

fn deed() -> impl Strategy<Value = Deed> {
    let slot = 0..SLOTS;
    prop_oneof![
        5 => (slot.clone(), 0_u8..4, 1_u32..9).prop_map(|(slot, series, by)| Deed::Count(slot, series, by)),
        6 => slot.clone().prop_map(Deed::Push),
        1 => slot.clone().prop_map(Deed::Forget),
        1 => slot.clone().prop_map(Deed::Restart),
        1 => slot.clone().prop_map(Deed::Reset),
        1 => (slot.clone(), 0_u8..4).prop_map(|(slot, series)| Deed::Remove(slot, series)),
        1 => (slot.clone(), 0..BOUNDS.len()).prop_map(|(slot, bounds)| Deed::Rebucket(slot, bounds)),
        1 => (prop::collection::vec(slot, 0..SLOTS), any::<bool>())
            .prop_map(|(slots, early)| Deed::Takeover(slots, early)),
    ]
}

/// What a process has measured.
#[derive(Clone, Debug, Default, PartialEq)]
struct Process {
    /// By label: whole, and in tenths.
    counters: BTreeMap<u8, f64>,
    bounds: usize,
    observed: Vec<f64>,
}

#[derive(Debug)]
struct World {
    aggregate: Aggregate,
    clock: u64,
    next: u32,
    processes: Vec<(Incarnation, Process)>,
    /// What each has pushed last, if it was alive or comes back.
    pushed: HashMap<Incarnation, Process>,
    /// What must add up: counters by label, and observations.
    counted: BTreeMap<u8, f64>,
    observations: f64,
    shown: HashMap<Vec<u8>, f64>,
    sums_may_fall: bool,
}

impl World {
    fn new() -> Self {
        let processes = (1..).take(SLOTS).map(|n| (process(n), Process::default())).collect();
        Self {
            aggregate: Aggregate::new(),
            clock: 1,
            next: 100,
            processes,
            pushed: HashMap::new(),
            counted: BTreeMap::new(),
            observations: 0.0,
            shown: HashMap::new(),
            sums_may_fall: false,
        }
    }

    fn run(&mut self, deed: &Deed) {
        match *deed {
            Deed::Count(slot, series, by) => {
                let own = &mut self.processes[slot].1;
                *own.counters.entry(series).or_default() += f64::from(by);
                own.observed.push(f64::from(by));
            }
            Deed::Push(slot) => self.push(slot),
            Deed::Forget(slot) => {
                self.aggregate.forget(self.processes[slot].0);
            }
            Deed::Restart(slot) => {
                self.aggregate.forget(self.processes[slot].0);
                self.processes[slot] = (process(self.next), Process::default());
                self.next += 1;
            }
            Deed::Reset(slot) => self.processes[slot].1 = Process::default(),
            Deed::Remove(slot, series) => {
                self.processes[slot].1.counters.remove(&series);
            }
            Deed::Rebucket(slot, bounds) => {
                let own = &mut self.processes[slot].1;
                (own.bounds, own.observed) = (bounds, Vec::new());
            }
            Deed::Takeover(ref slots, early) => self.take_over(slots, early),
        }
    }

    fn push(&mut self, slot: usize) {
        let (who, process) = self.processes[slot].clone();
        push(&mut self.aggregate, who, &process, self.clock);
        self.clock += 1;
        let before = self.pushed.insert(who, process.clone()).unwrap_or_default();
        for (series, count) in &process.counters {
            let since = before.counters.get(series).filter(|before| *before <= count).unwrap_or(&0.0);
            *self.counted.entry(*series).or_default() += count - since;
        }
        let (now, since) = (process.histogram(), before.histogram());
        let grown = process.bounds == before.bounds
            && now.iter().zip(&since).all(|(now, since)| now >= since || since.is_nan());
        let sum = |of: &Process| of.observed.iter().sum::<f64>();
        let grown = grown && (now != since || sum(&process) >= sum(&before));
        // A histogram that began anew and has caught up in its counts, but not in its sum: nobody can tell.
        self.sums_may_fall = grown && sum(&process) < sum(&before);
        let since = if grown { before.observed.len() } else { 0 };
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let new = process.observed.len() as f64 - since as f64;
        self.observations += new;
    }

    fn take_over(&mut self, slots: &[usize], early: bool) {
        let state = self.aggregate.to_bytes();
        self.aggregate = Aggregate::new();
        if let (Some(first), true) = (slots.first(), early) {
            self.push(*first);
        }
        self.aggregate.adopt(&state, self.clock).unwrap();
        for slot in slots {
            // Whoever has not pushed is no member there, but may be one.
            self.aggregate.join(self.processes[*slot].0, &slot.to_string()).unwrap();
        }
        self.aggregate.settle(self.clock + 10, 10);
    }

    fn check(&mut self) {
        let merged = families(&mut self.aggregate, Options::default());
        let shown = totals(&merged);
        for (key, before) in &self.shown {
            let may_fall = self.sums_may_fall && key.last() == Some(&(Suffix::Sum as u8));
            assert!(may_fall || shown.get(key) >= Some(before), "{before} before, {:?} now", shown.get(key));
        }
        self.shown = shown;
        let of = |name: &str| merged.iter().find(|family| family.name == name);
        for (label, counted) in &self.counted {
            for (name, part) in [("whole_total", 1.0), ("tenths_total", 10.0)] {
                let samples = &of(name).unwrap().samples;
                let sample = samples.iter().find(|s| s.series.labels().get("x") == Some(&label.to_string()));
                let value = sample.unwrap().value * part;
                assert!((value - counted).abs() < 1e-6, "{name} {label}: {value}, not {counted}");
            }
        }
        if let Some(histogram) = of("h") {
            let value = |suffix: Suffix, le| {
                let mut samples = histogram.samples.iter();
                let is = |s: &&crate::metrics::model::Sample| {
                    s.series.suffix() == suffix && s.series.labels().get("le") == le
                };
                samples.find(is).unwrap().value
            };
            assert_eq!(value(Suffix::Count, None), self.observations);
            assert_eq!(value(Suffix::Bucket, Some("+Inf")), self.observations);
            let buckets = histogram.samples.iter().filter(|s| s.series.suffix() == Suffix::Bucket);
            let counts: Vec<_> = buckets.map(|s| s.value).collect();
            assert!(counts.is_sorted(), "{counts:?}");
        }
        self.check_apart(&merged);
    }

    /// The same, member by member, adds up to the same.
    fn check_apart(&mut self, merged: &[Family]) {
        let apart = families(
            &mut self.aggregate,
            Options { members_apart: true, slots: false, quantiles: Quantiles::Drop },
        );
        for (family, apart) in merged.iter().zip(&apart) {
            if family.name != "whole_total" && family.name != "live" {
                continue;
            }
            let sum = |family: &Family| family.samples.iter().map(|s| s.value).sum::<f64>();
            assert_eq!(sum(family), sum(apart), "{}", family.name);
        }
    }
}

impl Process {
    /// The counts of its buckets, and all.
    fn histogram(&self) -> Vec<f64> {
        let bounds = BOUNDS[self.bounds].iter().copied().chain([f64::INFINITY]);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        bounds.map(|bound| self.observed.iter().filter(|value| **value <= bound).count() as f64).collect()
    }
}

fn push(aggregate: &mut Aggregate, who: Incarnation, process: &Process, clock: u64) {
    let labels: Vec<_> = process.counters.keys().map(|x| format!("[\"\",{{\"x\":{x}}}]")).collect();
    let labels = labels.join(",");
    let bounds: Vec<_> =
        BOUNDS[process.bounds].iter().map(|le| format!("[\"_bucket\",{{\"le\":{le}}}]")).collect();
    let bounds = [bounds, vec!["[\"_bucket\",{\"le\":\"+Inf\"}]".into()]].concat().join(",");
    let schema = format!(
        r#"{{"families":[{{"name":"whole_total","type":"counter","series":[{labels}]}},
            {{"name":"tenths_total","type":"counter","series":[{labels}]}},
            {{"name":"live","type":"gauge","series":[["",{{}}]]}},
            {{"name":"h","type":"histogram","series":[{bounds},["_sum",{{}}],["_count",{{}}]]}}]}}"#
    );
    let mut values: Vec<_> = process.counters.values().copied().collect();
    values.extend(process.counters.values().map(|count| count / 10.0));
    values.push(1.0);
    let buckets = process.histogram();
    let all = *buckets.last().unwrap();
    values.extend(buckets);
    values.extend([process.observed.iter().sum::<f64>() / 10.0, all]);
    let schema = aggregate.put_schema(who, Schema::from_json(&schema).unwrap()).unwrap();
    let snapshot = Snapshot { schema, sequence: clock, time_ms: clock, values, exemplars: Vec::new() };
    assert_eq!(aggregate.put_snapshot(who, snapshot), Ok(Put::Taken));
}

/// Everything that must not fall.
fn totals(families: &[Family]) -> HashMap<Vec<u8>, f64> {
    let mut totals = HashMap::new();
    for family in families.iter().filter(|family| family.kind != Kind::Gauge) {
        for sample in &family.samples {
            totals.insert([family.name.as_bytes(), &sample.series.key()].concat(), sample.value);
        }
    }
    totals
}

proptest! {
    #[test]
    fn totals_are_what_was_counted_whatever_happens(deeds in prop::collection::vec(deed(), 1..60)) {
        let mut world = World::new();
        for deed in &deeds {
            world.run(deed);
            world.check();
        }
    }
}

#[test]
fn many_generations_of_processes_leave_one_sum_and_no_rows_behind() {
    let mut aggregate = Aggregate::new();
    for n in 0..3000_u32 {
        let families = format!(
            r#"{{"name":"c_total","type":"counter","series":[["",{{}}]]}},
                {{"name":"g","type":"gauge","series":[["",{{"n":{n}}}],["",{{"m":{n}}}]]}}"#
        );
        super::put(&mut aggregate, process(n), &families, 1, &[0.1, 1.0, 1.0]);
        aggregate.forget(process(n));
    }
    let text = super::lines(&mut aggregate, Options::default());
    let [line] = text.as_slice() else { panic!("{text:?}") };
    let value: f64 = line.trim_start_matches("c_total ").parse().unwrap();
    assert!((value - 300.0).abs() < 1e-6, "{value}");
    assert!(aggregate.catalog.len() < 5000, "{}", aggregate.catalog.len());
}
