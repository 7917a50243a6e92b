//! Nothing goes backwards: what members that are gone have counted, and what an answer has shown.
//!
//! *Retained*: by row, what stays of those who are gone (see `rule` for what does).
//!
//! *Shown*: by row, the greatest sum that an answer has had. Adding doubles in another order can give a result that is
//! smaller in the last bit, and a member's death changes the order; to Prometheus a counter that falls by one bit
//! was reset, and its rate jumps by its whole value. So a count is never written smaller than it was. A `_sum` may fall,
//! if something negative was observed, so there only a fall that rounding explains is hidden.

use crate::metrics::binding::Binding;
use crate::metrics::catalog::{Catalog, RowId};
use crate::metrics::model::Suffix;
use crate::metrics::rule::{Cell, Op};

/// More than adding 4096 doubles in another order can change, as a part of the sum.
const ROUNDING: f64 = 1e-12;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// By row.
    pub retained: Vec<Cell>,
    /// By row; NaN where nothing was shown.
    pub shown: Vec<f64>,
}

/// What a member leaves behind.
#[derive(Clone, Copy, Debug)]
pub struct Legacy<'a> {
    pub binding: &'a Binding,
    /// By column, what it counts for.
    pub values: &'a [f64],
    /// By column, when it changed; empty if that doesn't count.
    pub changed: &'a [u64],
}

impl Totals {
    /// Room for all rows of the catalog, and the retained counts of buckets that are new there: those of the next lower.
    pub fn follow(&mut self, catalog: &Catalog) {
        self.grow(catalog.len());
        for (_, family) in catalog.families() {
            for group in 0..family.groups() {
                let mut below = Cell::default();
                for (_, row) in family.bounds(group) {
                    let cell = &mut self.retained[*row as usize];
                    if cell.seen == 0 && below.seen > 0 && catalog.rule(*row).is_total() {
                        *cell = below;
                    }
                    below = *cell;
                }
            }
        }
    }

    /// Room for so many rows.
    pub fn grow(&mut self, rows: usize) {
        self.retained.resize(rows, Cell::default());
        self.shown.resize(rows, f64::NAN);
    }

    /// Whether nothing was retained yet.
    pub fn is_empty(&self) -> bool {
        self.retained.iter().all(|cell| cell.seen == 0)
    }

    /// Whether the row has to stay, though no member has it.
    pub fn needs(&self, row: RowId) -> bool {
        self.retained[row as usize].seen > 0 || !self.shown[row as usize].is_nan()
    }

    /// Keeps what stays of a member, of those columns that are `lost`.
    pub fn keep(&mut self, catalog: &Catalog, of: Legacy, lost: impl Fn(usize) -> bool) {
        for (column, row) in of.binding.rows.iter().enumerate().filter(|(column, _)| lost(*column)) {
            self.keep_one(catalog, *row, of, column);
        }
        for (column, row) in &of.binding.fills {
            if lost(*column as usize) {
                self.keep_one(catalog, *row, of, *column as usize);
            }
        }
    }

    fn keep_one(&mut self, catalog: &Catalog, row: RowId, of: Legacy, column: usize) {
        let (rule, value) = (catalog.rule(row), of.values[column]);
        if !rule.stays || !(value.is_finite() || rule.op == Op::Latest) {
            return;
        }
        let at = of.changed.get(column).copied().unwrap_or_default();
        self.retained[row as usize].take(rule.op, value, at);
    }

    /// What to show for a total that adds up to `value` now.
    pub fn show(&mut self, row: RowId, suffix: Suffix, value: f64) -> f64 {
        let shown = &mut self.shown[row as usize];
        let hides = if suffix == Suffix::Sum {
            *shown > value && *shown - value <= ROUNDING * shown.abs()
        } else {
            *shown > value
        };
        if !hides && !value.is_nan() {
            *shown = value;
        }
        if hides {
            *shown
        } else {
            value
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test fails by panicking, and means exact numbers"
)]
mod tests {
    use super::*;
    use crate::metrics::schema::Schema;

    fn one_row() -> Totals {
        Totals { retained: vec![Cell::default()], shown: vec![f64::NAN] }
    }

    #[test]
    fn a_count_is_never_shown_smaller_than_before() {
        let mut totals = one_row();
        let shown: Vec<_> =
            [1.0, 3.0, 2.999, 3.5].map(|value| totals.show(0, Suffix::Count, value)).into_iter().collect();
        assert_eq!(shown, [1.0, 3.0, 3.0, 3.5]);
    }

    #[test]
    fn a_sum_falls_only_for_a_reason() {
        let mut totals = one_row();
        assert_eq!(totals.show(0, Suffix::Sum, 3.0), 3.0);
        assert_eq!(totals.show(0, Suffix::Sum, 3.0f64.next_down()), 3.0);
        assert_eq!(totals.show(0, Suffix::Sum, 2.5), 2.5);
        assert!(totals.show(0, Suffix::Sum, f64::NAN).is_nan());
    }

    #[test]
    fn a_new_bucket_counts_what_the_dead_had_below_it() {
        let bucketed = |bounds: &str| {
            let text = format!(
                r#"{{"families":[{{"name":"h","type":"histogram","series":[{bounds},["_count",{{}}]]}}]}}"#
            );
            Schema::from_json(&text).unwrap()
        };
        let (mut catalog, mut totals) = (Catalog::default(), Totals::default());
        let dead = Binding::new(bucketed(r#"["_bucket",{"le":1}],["_bucket",{"le":"+Inf"}]"#), &mut catalog);
        totals.follow(&catalog);
        totals.keep(&catalog, Legacy { binding: &dead, values: &[4.0, 9.0, 9.0], changed: &[] }, |_| true);
        Binding::new(bucketed(r#"["_bucket",{"le":0.5}],["_bucket",{"le":2}]"#), &mut catalog);
        totals.follow(&catalog);
        let counts: Vec<_> =
            catalog.family(0).order.iter().map(|row| totals.retained[*row as usize].value).collect();
        assert_eq!(counts, [0.0, 4.0, 4.0, 9.0, 9.0]);
    }
}
