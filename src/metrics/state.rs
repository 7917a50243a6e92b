//! An aggregate as bytes, so that the next primary can go on with it.
//!
//! ```text
//!  0  "PAMA"    4  version u32    8  length of what follows the header u64    16  checksum of it u64
//! 24  schemas, families with their totals, members, members that are gone
//!  …  slots of the members: "PAML"   checksum of the slots and of what is before them u64   the slots u32 each
//! ```
//!
//! All little-endian. Where no slots follow, an earlier version has written it. Bytes after that are ignored: the file may
//! be longer. Exemplars are not kept: they come
//! again with the next snapshots. Whatever is not exactly such a state is refused.

use std::collections::HashSet;

use crate::metrics::aggregate::Aggregate;
use crate::metrics::binding::Binding;
use crate::metrics::error::{MetricsError, Result};
use crate::metrics::limits::{MAX_GONE, MAX_MEMBERS, MAX_ROWS, MAX_TEXT};
use crate::metrics::member::{Incarnation, Member};
use crate::metrics::rule::Cell;
use crate::metrics::schema::{Definition, Schema, SchemaId};
use crate::metrics::wire::{put_count, put_numbers, put_text, Reader};

const MAGIC: &[u8] = b"PAMA";
const SLOTS: &[u8] = b"PAML";
const VERSION: u32 = 1;
const HEADER: usize = 24;
/// Bytes of a row's totals.
const TOTAL: usize = 28;
/// Stands for a member that has no numbers yet.
const NO_SCHEMA: u64 = 0;

impl Aggregate {
    /// Everything but exemplars.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![0; HEADER];
        let mut schemas: Vec<_> = self.bindings.values().map(|binding| &binding.schema).collect();
        schemas.sort_unstable_by_key(|schema| schema.id());
        put_count(&mut out, schemas.len());
        for schema in schemas {
            out.extend_from_slice(schema.canonical());
        }
        let needed = self.needed();
        self.catalog.write(&needed, &mut out);
        for row in needed.rows {
            let (cell, shown) = (&self.totals.retained[row as usize], self.totals.shown[row as usize]);
            put_numbers(&mut out, &[cell.value, shown]);
            out.extend_from_slice(&cell.seen.to_le_bytes());
            out.extend_from_slice(&cell.at.to_le_bytes());
        }
        put_count(&mut out, self.members.len());
        for (who, member) in &self.members {
            write_member(&mut out, *who, member);
        }
        put_count(&mut out, self.gone.len());
        for (who, member) in &self.gone {
            write_member(&mut out, *who, member);
        }
        let sum = checksum(&out[HEADER..]);
        let length = (out.len() - HEADER) as u64;
        out[..4].copy_from_slice(MAGIC);
        out[4..8].copy_from_slice(&VERSION.to_le_bytes());
        out[8..16].copy_from_slice(&length.to_le_bytes());
        out[16..24].copy_from_slice(&sum.to_le_bytes());
        let slots: Vec<u8> = self.members.values().flat_map(|member| member.slot.to_le_bytes()).collect();
        out.extend_from_slice(SLOTS);
        out.extend_from_slice(&(checksum(&slots) ^ sum).to_le_bytes());
        out.extend_from_slice(&slots);
        out
    }

    /// Goes on with a state. Its members count, and are known as adopted at `now_ms` until they say something.
    pub fn from_bytes(bytes: &[u8], now_ms: u64) -> Result<Self> {
        let body = check(bytes)?;
        let mut reader = Reader::new(body);
        let mut aggregate = Self::new();
        aggregate.read(&mut reader, now_ms).ok_or(MetricsError::BadState("its parts don't fit together"))?;
        if aggregate
            .read_slots(bytes.get(HEADER + body.len()..).unwrap_or_default(), checksum(body))
            .is_none()
        {
            for (member, slot) in aggregate.members.values_mut().zip(0..) {
                member.slot = slot;
            }
        }
        if reader.is_empty() {
            Ok(aggregate)
        } else {
            Err(MetricsError::BadState("there is more than its parts"))
        }
    }

    fn read(&mut self, reader: &mut Reader, now_ms: u64) -> Option<()> {
        let mut schemas = Vec::new();
        for _ in 0..reader.count(4)? {
            schemas.push(Schema::read(reader)?);
        }
        let mut definitions = Vec::new();
        for _ in 0..reader.count(14)? {
            definitions.push(Definition::read(reader)?);
        }
        // First for the order of families, and once more in `restore` because the schemas may be older.
        for definition in &definitions {
            self.catalog.define(definition);
            (self.catalog.size() <= MAX_ROWS).then_some(())?;
        }
        for schema in schemas {
            let id = schema.id();
            let binding = Binding::new(schema, &mut self.catalog);
            (self.catalog.size() <= MAX_ROWS && id != SchemaId(NO_SCHEMA)).then_some(())?;
            self.bindings.insert(id, binding);
        }
        let rows = definitions.iter().map(|definition| definition.series().len()).sum::<usize>();
        let mut totals = Reader::new(reader.take(rows.checked_mul(TOTAL)?)?);
        self.restore(&definitions, |into, _, row| {
            let numbers = (totals.f64(), totals.f64(), totals.u32(), totals.u64());
            if let (Some(value), Some(shown), Some(seen), Some(at)) = numbers {
                into.retained[row as usize] = Cell { value, seen, at };
                into.shown[row as usize] = shown;
            }
        });
        for _ in 0..reader.count(48)?.min(MAX_MEMBERS + 1) {
            let (who, mut member) = self.read_member(reader)?;
            member.adopted_at = Some(now_ms);
            self.enlist(who, member).then_some(())?;
        }
        for _ in 0..reader.count(48)?.min(MAX_GONE + 1) {
            let gone = self.read_member(reader)?;
            self.gone.push_back(gone);
        }
        (self.members.len() <= MAX_MEMBERS && self.gone.len() <= MAX_GONE).then_some(())
    }

    /// `None`, with nothing changed, where there are none, or not all are different.
    fn read_slots(&mut self, bytes: &[u8], sum: u64) -> Option<()> {
        let mut reader = Reader::new(bytes);
        (reader.take(4)? == SLOTS).then_some(())?;
        let expected = reader.u64()?;
        let slots = reader.take(4 * self.members.len())?;
        (checksum(slots) ^ sum == expected).then_some(())?;
        let mut reader = Reader::new(slots);
        let slots: Vec<u32> = std::iter::from_fn(|| reader.u32()).collect();
        let distinct: HashSet<_> = slots.iter().collect();
        (distinct.len() == self.members.len()).then_some(())?;
        for (member, slot) in self.members.values_mut().zip(slots) {
            member.slot = slot;
        }
        Some(())
    }

    fn read_member(&self, reader: &mut Reader) -> Option<(Incarnation, Member)> {
        let who = Incarnation {
            started_at: reader.u64()?,
            pid: reader.u32()?,
            thread: reader.u32()?,
            application: reader.u32()?,
        };
        let name = reader.text().filter(|name| name.len() <= MAX_TEXT)?.to_owned();
        let mut member = Member { name, ..Member::default() };
        let schema = reader.u64()?;
        (member.sequence, member.time_ms) = (reader.u64()?, reader.u64()?);
        let parts = reader.u8()?;
        if schema != NO_SCHEMA {
            let columns = self.bindings.get(&SchemaId(schema))?.schema.columns();
            member.schema = Some(SchemaId(schema));
            member.values = reader.numbers(columns)?;
            if parts & 1 != 0 {
                member.carried = reader.numbers(columns)?;
            }
            if parts & 2 != 0 {
                member.changed = reader.numbers(columns)?.into_iter().map(f64::to_bits).collect();
            }
        }
        member.weigh();
        Some((who, member))
    }
}

fn write_member(out: &mut Vec<u8>, who: Incarnation, member: &Member) {
    out.extend_from_slice(&who.started_at.to_le_bytes());
    for part in [who.pid, who.thread, who.application] {
        out.extend_from_slice(&part.to_le_bytes());
    }
    put_text(out, &member.name);
    for part in [member.schema.map_or(NO_SCHEMA, |id| id.0), member.sequence, member.time_ms] {
        out.extend_from_slice(&part.to_le_bytes());
    }
    out.push(u8::from(!member.carried.is_empty()) | u8::from(!member.changed.is_empty()) << 1);
    put_numbers(out, &member.values);
    put_numbers(out, &member.carried);
    for at in &member.changed {
        out.extend_from_slice(&at.to_le_bytes());
    }
}

/// The part that the header speaks of, if the header is right.
fn check(bytes: &[u8]) -> Result<&[u8]> {
    let mut reader = Reader::new(bytes);
    if reader.take(4) != Some(MAGIC) {
        return Err(MetricsError::BadState("it does not begin with PAMA"));
    }
    if reader.u32() != Some(VERSION) {
        return Err(MetricsError::BadState("another version has written it"));
    }
    let length = reader.u64().and_then(|length| usize::try_from(length).ok());
    let (Some(length), Some(sum)) = (length, reader.u64()) else {
        return Err(MetricsError::BadState("it ends within its header"));
    };
    let body = reader.take(length).ok_or(MetricsError::BadState("it is shorter than it says"))?;
    if checksum(body) == sum {
        Ok(body)
    } else {
        Err(MetricsError::BadState("it is damaged"))
    }
}

/// FNV-1a over words of eight bytes: against torn writes, not against people. Each step is a bijection, so that one
/// changed word always shows.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().chain([&last, &(bytes.len() as u64).to_le_bytes()]).fold(
        0xcbf2_9ce4_8422_2325,
        |sum: u64, word| {
            (sum ^ u64::from_le_bytes(*word)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(27)
        },
    )
}
