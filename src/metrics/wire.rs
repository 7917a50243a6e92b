//! Bytes that are written by us and read by somebody who trusts nothing: each length is checked before it is used.

/// Reads from the front. `None` where the bytes end too early or are not what they should be.
#[derive(Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    pub fn f64(&mut self) -> Option<f64> {
        self.u64().map(f64::from_bits)
    }

    pub fn text(&mut self) -> Option<&'a str> {
        let length = self.u32()?;
        std::str::from_utf8(self.take(usize::try_from(length).ok()?)?).ok()
    }

    /// A number of things that take at least `smallest` bytes each: never more than can follow.
    pub fn count(&mut self, smallest: usize) -> Option<usize> {
        let count = usize::try_from(self.u32()?).ok()?;
        (count.checked_mul(smallest.max(1))? <= self.rest.len()).then_some(count)
    }

    /// As many numbers.
    pub fn numbers(&mut self, count: usize) -> Option<Vec<f64>> {
        Some(numbers(self.take(count.checked_mul(8)?)?))
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// The numbers in whole groups of eight bytes.
pub fn numbers(bytes: &[u8]) -> Vec<f64> {
    let (groups, _) = bytes.as_chunks();
    groups.iter().map(|group| f64::from_le_bytes(*group)).collect()
}

pub fn put_numbers(out: &mut Vec<u8>, numbers: &[f64]) {
    out.reserve(numbers.len() * 8);
    for number in numbers {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// A count or length; all of ours are far below 2^32, and one that were not could not be read back.
pub fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_cannot_be_true_takes_no_memory() {
        let mut bytes = Vec::new();
        put_count(&mut bytes, 1_000_000);
        bytes.extend_from_slice(&[0; 16]);
        assert_eq!(Reader::new(&bytes).count(1), None);
        assert_eq!(Reader::new(&bytes).text(), None);
    }

    #[test]
    fn what_was_written_reads_back() {
        let mut bytes = Vec::new();
        put_text(&mut bytes, "ä");
        put_numbers(&mut bytes, &[1.5, f64::INFINITY]);
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.text(), Some("ä"));
        assert_eq!(reader.numbers(2), Some(vec![1.5, f64::INFINITY]));
        assert!(reader.is_empty() && reader.u8().is_none());
    }
}
