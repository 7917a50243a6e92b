//! What was written reads back, and garbage is refused without harm.

use proptest::prelude::*;

use crate::metrics::aggregate::Aggregate;
use crate::metrics::model::{Aggregator, Exemplar, Family, Kind, Labels, Sample, Series, Suffix};
use crate::metrics::parse::parse;
use crate::metrics::schema::Schema;
use crate::metrics::write::{write, Format};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![".{0,8}", "[ab\\\\\"\n{},=# ]{0,8}"]
}

fn labels() -> impl Strategy<Value = Labels> {
    prop::collection::btree_map("[a-z_]{1,2}", text(), 0..4)
        .prop_map(|labels| Labels::new(labels.into_iter().collect()).unwrap())
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>().prop_filter("NaN is not itself", |v| !v.is_nan()),
        any::<u32>().prop_map(f64::from)
    ]
}

fn exemplar() -> impl Strategy<Value = Exemplar> {
    (labels(), value(), prop::option::of(0.0..2e9)).prop_map(|(labels, value, timestamp)| Exemplar {
        labels,
        value,
        timestamp,
    })
}

fn sample(kind: Kind, open: bool) -> impl Strategy<Value = Option<Sample>> {
    let suffix = prop::sample::select(Suffix::ALL.to_vec());
    (suffix, labels(), 0_u8..5, value(), prop::option::of(exemplar())).prop_map(
        move |(suffix, labels, bound, value, exemplar)| {
            let inner = kind
                .inner_label(suffix)
                .map(|inner| (inner.to_owned(), (f64::from(bound) / 4.0).to_string()));
            let labels = labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).chain(inner);
            let labels = Labels::new(labels.filter(|(name, _)| name != "x").collect()).ok()?;
            if suffix == Suffix::Created && !open {
                return None;
            }
            let series = Series::new(kind, suffix, labels).ok()?;
            let may = open && crate::metrics::write::takes_exemplar(kind, suffix);
            Some(Sample { series, value, exemplar: exemplar.filter(|_| may) })
        },
    )
}

fn family(open: bool) -> impl Strategy<Value = Family> {
    let kinds = vec![Kind::Counter, Kind::Gauge, Kind::Histogram, Kind::Summary, Kind::Untyped];
    ("[A-Z:]{1,6}", text(), prop::sample::select(kinds)).prop_flat_map(move |(name, help, kind)| {
        prop::collection::vec(sample(kind, open), 0..6).prop_map(move |samples| {
            let mut seen = std::collections::HashSet::new();
            let samples: Vec<_> =
                samples.into_iter().flatten().filter(|sample| seen.insert(sample.series.key())).collect();
            let name = if kind == Kind::Counter { format!("{name}_total") } else { name.clone() };
            Family { name, help: help.clone(), kind, aggregator: Aggregator::Sum, samples }
        })
    })
}

fn exposition(open: bool) -> impl Strategy<Value = Vec<Family>> {
    prop::collection::vec(family(open), 0..5).prop_map(|mut families| {
        let mut seen = std::collections::HashSet::new();
        families.retain(|family| seen.insert(family.name.trim_end_matches("_total").to_owned()));
        families
    })
}

proptest! {
    #[test]
    fn the_text_format_reads_back(families in exposition(false)) {
        prop_assert_eq!(parse(&write(&families, Format::Text), Format::Text).unwrap(), families);
    }

    #[test]
    fn open_metrics_reads_back(families in exposition(true)) {
        let text = write(&families, Format::OpenMetrics);
        prop_assert_eq!(parse(&text, Format::OpenMetrics).unwrap(), families);
    }

    #[test]
    fn a_schema_reads_back(families in exposition(true)) {
        let (schema, values, _) = Schema::split(families).unwrap();
        prop_assert_eq!(values.len(), schema.columns());
        prop_assert_eq!(Schema::from_json(&schema.to_json()).unwrap(), schema);
    }

    #[test]
    fn no_text_panics(bytes: Vec<u8>, text in "[a#{}=\", \n\\\\1e_]{0,40}") {
        for format in [Format::Text, Format::OpenMetrics] {
            let _ = parse(&bytes, format);
            let _ = parse(text.as_bytes(), format);
        }
        let _ = Schema::from_json(&text);
    }

    #[test]
    fn no_state_panics(bytes: Vec<u8>, families in exposition(true), at: prop::sample::Index, byte: u8) {
        let _ = Aggregate::from_bytes(&bytes, 1);
        let mut aggregate = Aggregate::new();
        let text = write(&families, Format::OpenMetrics);
        aggregate.put_text(super::process(1), &text, Format::OpenMetrics, 1, 1).unwrap();
        let mut state = aggregate.to_bytes();
        // Slots follow, which may be wrong.
        let whole = 24 + usize::try_from(u64::from_le_bytes(state[8..16].try_into().unwrap())).unwrap();
        let at = at.index(state.len());
        let was = std::mem::replace(&mut state[at], byte);
        prop_assert_eq!(Aggregate::from_bytes(&state, 1).is_ok(), was == byte || at >= whole);
        prop_assert_eq!(Aggregate::from_bytes(&state[..at], 1).is_ok(), at >= whole);
        // Behind a right checksum, too.
        let sum = crate::metrics::state::checksum(&state[24..whole]);
        state[16..24].copy_from_slice(&sum.to_le_bytes());
        if let Ok(mut read) = Aggregate::from_bytes(&state, 1) {
            read.render(Format::OpenMetrics, crate::metrics::render::Options::default(), &[]);
            read.forget(super::process(1));
        }
    }
}
