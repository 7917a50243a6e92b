//! The metrics of a group, as its broker owns them: each member's last snapshot, and the totals of those who are gone.
//!
//! **Who is who.** A member is known by its [`Incarnation`], not by its member id. So a member that has lost its
//! connection and joins again is the same, and one whose process has been restarted is another.
//!
//! * It joins again while it is a member: its next snapshot replaces the last.
//! * It was forgotten (its counts are in the totals) and comes back, having been frozen, for one: what it had counted
//!   by then is subtracted from what it counts now. The last [`MAX_GONE`] are remembered for that.
//! * A new primary adopts the state of the last one ([`Aggregate::from_bytes`], [`Aggregate::adopt`]): all members of it
//!   count with their last snapshots from the beginning. Who joins replaces its own; who has not done so within a
//!   grace time is forgotten ([`Aggregate::settle`]). The dead primary is one of those.
//!
//! **Persistence** is the caller's: [`Aggregate::to_bytes`] before an answer leaves, and what was shown is never lost.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::metrics::binding::{Binding, Column};
use crate::metrics::catalog::{Catalog, RowId, Selection};
use crate::metrics::error::{MetricsError, Result};
use crate::metrics::fold::{fold, Folded, How, Living};
use crate::metrics::limits::{MAX_GONE, MAX_MEMBERS, MAX_ROWS, MAX_TEXT};
use crate::metrics::member::{Incarnation, Member};
use crate::metrics::merge::process_label;
use crate::metrics::parse::parse;
use crate::metrics::process_wide::echoes;
use crate::metrics::schema::{Definition, Schema, SchemaId};
use crate::metrics::snapshot::Snapshot;
use crate::metrics::totals::Totals;
use crate::metrics::write::Format;

/// Characters of what was wrong with a member's message.
const MAX_FAULT: usize = 500;
/// When rows that nobody has are looked for, at the earliest.
const FIRST_COMPACTION: usize = 4096;

/// See the module.
#[derive(Debug)]
pub struct Aggregate {
    pub(super) catalog: Catalog,
    pub(super) bindings: HashMap<SchemaId, Binding>,
    pub(super) members: BTreeMap<Incarnation, Member>,
    /// Who of them is of which process, by pid.
    threads: HashMap<u32, Vec<Incarnation>>,
    /// Members whose counts are in the totals, the last to go at the end.
    pub(super) gone: VecDeque<(Incarnation, Member)>,
    pub(super) totals: Totals,
    compact_at: usize,
    /// Families and series, at most.
    limit: usize,
    /// There was nothing more to fold.
    is_packed: bool,
    folded: Folded,
}

/// What became of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It counts from now on.
    Taken,
    /// A newer one of the same member was there already.
    Stale,
}

/// What is known of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which process.
    pub incarnation: Incarnation,
    /// Its name.
    pub name: String,
    /// Its slot.
    pub slot: u32,
    /// When its last snapshot was taken (ms since 1970); `None` before the first.
    pub snapshot_ms: Option<u64>,
    /// It comes from an adopted state and has not joined here yet.
    pub adopted: bool,
}

impl Default for Aggregate {
    fn default() -> Self {
        Self::new()
    }
}

impl Aggregate {
    /// An empty one: nobody has joined yet.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(MAX_ROWS)
    }

    /// One that holds so many families and series.
    pub(crate) fn with_limit(limit: usize) -> Self {
        Self {
            catalog: Catalog::default(),
            bindings: HashMap::new(),
            members: BTreeMap::new(),
            threads: HashMap::new(),
            gone: VecDeque::new(),
            totals: Totals::default(),
            compact_at: 0,
            limit,
            is_packed: false,
            folded: Folded::default(),
        }
    }

    /// A member joins, or has another name now. It has no numbers yet.
    pub fn join(&mut self, who: Incarnation, name: &str) -> Result<()> {
        if name.len() > MAX_TEXT {
            return Err(MetricsError::BadSchema(format!("a member's name is longer than {MAX_TEXT} bytes")));
        }
        let member = self.member(who)?;
        name.clone_into(&mut member.name);
        Ok(())
    }

    /// A member announces what its next snapshots mean.
    pub fn put_schema(&mut self, who: Incarnation, schema: Schema) -> Result<SchemaId> {
        let id = schema.id();
        if !self.bindings.contains_key(&id) {
            self.make_room(&schema)?;
            self.member(who)?;
            let binding = Binding::new(schema, &mut self.catalog);
            self.bindings.insert(id, binding);
            self.follow();
        }
        self.member(who)?.announced = Some(id);
        self.sweep();
        Ok(id)
    }

    /// A member's numbers. Its schema has come before, from it or from any other member.
    pub fn put_snapshot(&mut self, who: Incarnation, snapshot: Snapshot) -> Result<Put> {
        let Some(binding) = self.bindings.get(&snapshot.schema) else {
            return Err(MetricsError::UnknownSchema(snapshot.schema));
        };
        snapshot.check(&binding.schema)?;
        self.member(who)?;
        let echoes = self.echoes(who, snapshot.schema);
        let (Some(member), Some(binding)) = (self.members.get_mut(&who), self.bindings.get(&snapshot.schema))
        else {
            return Err(MetricsError::UnknownSchema(snapshot.schema));
        };
        match member.schema {
            Some(_) if snapshot.sequence <= member.sequence && snapshot.time_ms <= member.time_ms => {
                return Ok(Put::Stale);
            }
            Some(id) if id == snapshot.schema => {}
            Some(id) => {
                self.is_packed = false;
                if let Some(old) = self.bindings.get(&id) {
                    member.switch(&self.catalog, old, binding, &mut self.totals);
                }
            }
            None => member.begin(binding),
        }
        if member.announced == Some(snapshot.schema) {
            member.announced = None;
        }
        member.advance(snapshot, binding, &echoes);
        Ok(Put::Taken)
    }

    /// A member's exposition text, with what [`Snapshot`] says of it.
    pub fn put_text(
        &mut self,
        who: Incarnation,
        text: &[u8],
        format: Format,
        sequence: u64,
        time_ms: u64,
    ) -> Result<Put> {
        let (schema, values, exemplars) = Schema::split(parse(text, format)?)?;
        let schema = self.put_schema(who, schema)?;
        self.put_snapshot(who, Snapshot { schema, sequence, time_ms, values, exemplars })
    }

    /// What came from a member could not be taken: reports say so until something can.
    pub fn blame(&mut self, who: Incarnation, fault: &MetricsError) {
        if let Some(member) = self.members.get_mut(&who) {
            // It may quote what came.
            member.fault = Some(fault.to_string().chars().take(MAX_FAULT).collect());
        }
    }

    /// A member is gone. What it has counted stays. Whether it was known.
    pub fn forget(&mut self, who: Incarnation) -> bool {
        let Some(mut member) = self.members.remove(&who) else { return false };
        self.is_packed = false;
        if let Some(threads) = self.threads.get_mut(&who.pid) {
            threads.retain(|each| *each != who);
            if threads.is_empty() {
                self.threads.remove(&who.pid);
            }
        }
        if let Some(binding) = member.schema.and_then(|id| self.bindings.get(&id)) {
            self.totals.keep(&self.catalog, member.legacy(binding), |_| true);
            member.exemplars.clear();
            member.announced = None;
            if self.gone.len() >= MAX_GONE {
                self.gone.pop_front();
            }
            self.gone.push_back((who, member));
        }
        true
    }

    /// Forgets those of an adopted state who have not joined within `grace_ms`, and says who.
    pub fn settle(&mut self, now_ms: u64, grace_ms: u64) -> Vec<Incarnation> {
        let late =
            |member: &Member| member.adopted_at.is_some_and(|since| now_ms.saturating_sub(since) >= grace_ms);
        let missing: Vec<_> =
            self.members.iter().filter(|(_, member)| late(member)).map(|(who, _)| *who).collect();
        for who in &missing {
            self.forget(*who);
        }
        missing
    }

    /// Adopts what another aggregate has written. Members that have joined here already replace their own.
    ///
    /// Adopt before anybody is forgotten here: later it is refused.
    pub fn adopt(&mut self, bytes: &[u8], now_ms: u64) -> Result<()> {
        if !self.gone.is_empty() || !self.totals.is_empty() {
            return Err(MetricsError::TooLate);
        }
        let mut adopted = Self::from_bytes(bytes, now_ms)?;
        for (who, member) in &self.members {
            adopted.join(*who, &member.name)?;
            if let Some(binding) = member.schema.and_then(|id| self.bindings.get(&id)) {
                adopted.put_schema(*who, binding.schema.clone())?;
                adopted.replay(*who, member, binding.schema.id())?;
            }
            if let Some(binding) = member.announced.and_then(|id| self.bindings.get(&id)) {
                adopted.put_schema(*who, binding.schema.clone())?;
            }
        }
        let shown = self.catalog.select(|_| false, |row| self.totals.needs(row));
        adopted.restore(&self.catalog.definitions(&shown), |totals, at, row| {
            let held = &mut totals.shown[row as usize];
            *held = held.max(self.totals.shown[shown.rows[at] as usize]);
        });
        *self = adopted;
        Ok(())
    }

    /// What a member has counted elsewhere, on top of what is known of it here.
    fn replay(&mut self, who: Incarnation, member: &Member, schema: SchemaId) -> Result<()> {
        self.put_snapshot(
            who,
            Snapshot {
                schema,
                sequence: member.sequence,
                time_ms: member.time_ms,
                values: member.counts().to_vec(),
                exemplars: member.exemplars.clone(),
            },
        )?;
        if let Some(own) = self.members.get_mut(&who) {
            own.rebase(&member.values, &member.carried);
        }
        Ok(())
    }

    /// All members, by age.
    pub fn members(&self) -> impl Iterator<Item = Known> + '_ {
        self.members.iter().map(|(who, member)| Known {
            incarnation: *who,
            name: member.name.clone(),
            slot: member.slot,
            snapshot_ms: member.schema.map(|_| member.time_ms),
            adopted: member.adopted_at.is_some(),
        })
    }

    /// Whether a snapshot of that schema can be taken.
    #[must_use]
    pub fn knows(&self, schema: SchemaId) -> bool {
        self.bindings.contains_key(&schema)
    }

    /// A member that says something now: known, back again, or new.
    fn member(&mut self, who: Incarnation) -> Result<&mut Member> {
        if !self.members.contains_key(&who) {
            if self.members.len() >= MAX_MEMBERS {
                return Err(MetricsError::TooMany { what: "members", limit: MAX_MEMBERS });
            }
            let back = self.gone.iter().position(|(gone, _)| *gone == who);
            let mut member = back.and_then(|at| self.gone.remove(at)).map(|(_, member)| member);
            if let Some(member) = &mut member {
                if let Some(binding) = member.schema.and_then(|id| self.bindings.get(&id)) {
                    member.come_back(&self.catalog, binding);
                }
            }
            let new = || Member { name: process_label(who), ..Member::default() };
            let mut member = member.unwrap_or_else(new);
            member.slot = self.free_slot();
            self.enlist(who, member);
        }
        let member = self.members.entry(who).or_default();
        member.adopted_at = None;
        Ok(member)
    }

    /// The smallest that no member has.
    fn free_slot(&self) -> u32 {
        let taken: HashSet<_> = self.members.values().map(|member| member.slot).collect();
        // At most MAX_MEMBERS: one of them is free.
        (0..=u32::MAX).find(|slot| !taken.contains(slot)).unwrap_or(u32::MAX)
    }

    /// Whether it was not there before.
    pub(super) fn enlist(&mut self, who: Incarnation, member: Member) -> bool {
        let is_new = self.members.insert(who, member).is_none();
        if is_new {
            self.threads.entry(who.pid).or_default().push(who);
        }
        is_new
    }

    /// Columns of a snapshot that is about to be taken which another thread of that process counts.
    fn echoes(&self, who: Incarnation, schema: SchemaId) -> Vec<Column> {
        let (Some(binding), Some(threads)) = (self.bindings.get(&schema), self.threads.get(&who.pid)) else {
            return Vec::new();
        };
        if threads.len() < 2 || binding.process_columns.is_empty() {
            return Vec::new();
        }
        let binding_of = |who: &Incarnation| {
            let member = self.members.get(who)?;
            Some((member, self.bindings.get(&member.schema?)?))
        };
        let siblings: Vec<_> = threads
            .iter()
            .filter(|other| **other != who)
            .filter_map(|other| Some((*other, binding_of(other)?.1)))
            .collect();
        let own = binding_of(&who);
        let has_said = |row: RowId| {
            own.is_some_and(|(member, of)| {
                let said = |column: &Column| !member.values[*column as usize].is_nan();
                of.process_columns.iter().any(|column| of.rows[*column as usize] == row && said(column))
            })
        };
        echoes(&self.catalog, who, binding, &siblings, has_said)
    }

    /// Everything that depends on the catalog follows its changes.
    pub(super) fn follow(&mut self) {
        for binding in self.bindings.values_mut() {
            binding.refresh(&self.catalog);
        }
        self.totals.follow(&self.catalog);
    }

    /// Drops schemas that nobody has.
    fn sweep(&mut self) {
        let all = self.members.values().chain(self.gone.iter().map(|(_, member)| member));
        let used: HashSet<_> = all.flat_map(|member| [member.schema, member.announced]).flatten().collect();
        self.bindings.retain(|id, _| used.contains(id));
    }

    /// Makes sure that there is room for a schema, if necessary by dropping rows that nobody has.
    fn make_room(&mut self, schema: &Schema) -> Result<()> {
        let more = schema.columns() + schema.definitions().len();
        let is_full = self.catalog.size() + more > self.limit;
        if self.catalog.size() + more > self.compact_at.max(FIRST_COMPACTION) || (is_full && !self.is_packed)
        {
            self.sweep();
            if is_full {
                self.fold(schema, more);
            }
            self.compact();
            self.compact_at = 2 * (self.catalog.size() + more);
        }
        if self.catalog.size() + more > self.limit {
            // Another look is of use when somebody has gone.
            self.is_packed = true;
            return Err(MetricsError::TooMany { what: "families and series", limit: self.limit });
        }
        Ok(())
    }

    /// Folds what the dead have left, if there is no room for the `more` rows of a schema: until a quarter of all is free.
    /// Compaction then frees it.
    fn fold(&mut self, schema: &Schema, more: usize) {
        for (attempt, how) in How::STEPS.into_iter().enumerate() {
            if attempt == 1 {
                // Those that may come back hold their series. One that does so after this is counted twice.
                self.gone.clear();
                self.sweep();
            }
            let used: HashSet<_> =
                self.bindings.values().flat_map(|binding| &binding.rows).copied().collect();
            let families = self.catalog.size() - self.catalog.len();
            let rows = (0..).take(self.catalog.len());
            let needed = rows.filter(|row| used.contains(row) || self.totals.needs(*row)).count();
            let size = families + needed + more;
            if size <= self.limit {
                return;
            }
            let living = Living { rows: &used, newcomer: schema };
            let folded = fold(&mut self.catalog, &mut self.totals, living, how, size - self.limit * 3 / 4);
            self.folded.series += folded.series;
            self.folded.most = folded.most.or(self.folded.most.take());
        }
    }

    /// What was folded since this was asked last, if something was.
    pub fn take_folded(&mut self) -> Option<Folded> {
        (self.folded.series > 0).then(|| std::mem::take(&mut self.folded))
    }

    fn compact(&mut self) {
        let needed = self.needed();
        let definitions = self.catalog.definitions(&needed);
        self.catalog = Catalog::default();
        for binding in self.bindings.values_mut() {
            binding.rebind(&mut self.catalog);
        }
        let old = std::mem::take(&mut self.totals);
        self.restore(&definitions, |totals, at, row| {
            totals.retained[row as usize] = old.retained[needed.rows[at] as usize];
            totals.shown[row as usize] = old.shown[needed.rows[at] as usize];
        });
    }

    /// The families that anybody has, with the rows that have a total.
    pub(super) fn needed(&self) -> Selection {
        let used: HashSet<_> =
            self.bindings.values().flat_map(|binding| &binding.families).copied().collect();
        self.catalog.select(|family| used.contains(&family), |row| self.totals.needs(row))
    }

    /// Finds the rows of definitions, after all schemas, and says which is the n-th. What they say of help and
    /// aggregator holds.
    pub(super) fn restore(
        &mut self,
        definitions: &[Definition],
        mut total: impl FnMut(&mut Totals, usize, RowId),
    ) {
        let rows: Vec<_> =
            definitions.iter().flat_map(|definition| self.catalog.define(definition)).collect();
        self.totals.grow(self.catalog.len());
        for (at, row) in rows.into_iter().enumerate() {
            total(&mut self.totals, at, row);
        }
        self.follow();
    }
}
