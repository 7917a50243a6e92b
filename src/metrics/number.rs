//! Numbers as text.
//!
//! They are written as JavaScript writes them, and so prom-client: the shortest digits that read back as the same
//! number, whole numbers without an exponent below 1e21. Every parser of both formats reads that. Two exceptions from
//! prom-client: `NaN` is `NaN` as both formats spell it (prom-client: `Nan`). `-0` is `0`, as in JavaScript: nobody who
//! reads a scrape tells them apart.

use std::fmt::Write as _;
use std::io::Write as _;

/// 2^53: below it every whole number is exact.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Appends a number.
pub fn write(out: &mut Vec<u8>, value: f64) {
    if value.abs() < EXACT && value.fract() == 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "whole, and below 2^53")]
        write_whole(out, value as i64);
    } else if value.is_nan() {
        out.extend_from_slice(b"NaN");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
    } else {
        write_shortest(out, value);
    }
}

/// A number as text.
#[must_use]
pub fn to_string(value: f64) -> String {
    let mut out = Vec::with_capacity(24);
    write(&mut out, value);
    out.into_iter().map(char::from).collect()
}

/// Reads a number: decimal, with or without exponent, or any spelling of infinity and NaN that Go takes.
#[must_use]
pub fn parse(text: &str) -> Option<f64> {
    text.parse().ok()
}

fn write_whole(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// ECMA-262, Number::toString, for what is finite: the plain form for 1e-6 to 1e21, else with an exponent.
fn write_shortest(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    if (1e-6..1e21).contains(&size) {
        // Writing to a Vec doesn't fail.
        let _ = write!(out, "{value}");
        return;
    }
    let mut text = String::with_capacity(32);
    let _ = write!(text, "{value:e}");
    if size >= 1.0 {
        text = text.replace('e', "e+");
    }
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_in_javascript() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-12.0, "-12"),
            (0.1, "0.1"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-9, "1.5e-9"),
            (9_007_199_254_740_991.0, "9007199254740991"),
            (9_007_199_254_740_992.0, "9007199254740992"),
            (9_007_199_254_740_994.0, "9007199254740994"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (f64::MIN, "-1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (0.1 + 0.2, "0.30000000000000004"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(to_string(value), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same_number(bits: u64) {
            let value = f64::from_bits(bits);
            let read = parse(&to_string(value)).unwrap();
            assert!(read.to_bits() == (value + 0.0).to_bits() || (read.is_nan() && value.is_nan()));
        }
    }
}
