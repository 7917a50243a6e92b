//! The group's metrics as its primary keeps them, so that the next one goes on with them, however this one ends: two files
//! in the group's folder, written in turns and in place by the holder of the lock. What a killed process has written
//! stays; what it was writing when it was killed is torn, and then the other file is whole. (A new file and a rename each
//! time took ten times as long, which a scrape waits for.)
//!
//! ```text
//!  0  epoch u64    8  which writing of the tenure u64    16  a state that knows its own length and checksum
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use tracing::warn;

use super::handover::{open, remove};
use crate::metrics::limits::MAX_INPUT;
use crate::role::Epoch;

/// The files' names in the group's folder.
const NAMES: [&str; 2] = ["metrics.0", "metrics.1"];
const HEADER: usize = 16;

/// Where one tenure keeps its metrics.
#[derive(Debug)]
pub struct MetricsFile {
    folder: PathBuf,
    epoch: Epoch,
    files: [Option<File>; 2],
    /// How many writings there were.
    written: u64,
    /// Where the first one goes: not to where the state is that this tenure has begun with.
    first: usize,
}

/// What an earlier tenure has kept, if it is whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    /// The state.
    pub state: Vec<u8>,
    slot: usize,
}

impl MetricsFile {
    /// Nothing is written yet.
    #[must_use]
    pub fn new(folder: &Path, epoch: Epoch) -> Self {
        Self { folder: folder.to_owned(), epoch, files: [None, None], written: 0, first: 0 }
    }

    /// What earlier tenures have kept, the newest first.
    #[must_use]
    pub fn kept(&self) -> Vec<Kept> {
        let mut found = Vec::new();
        for (slot, name) in NAMES.iter().enumerate() {
            match read(&self.folder.join(name)) {
                Ok(Some((epoch, number, state))) if epoch < self.epoch => {
                    found.push((epoch, number, Kept { state, slot }));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => warn!("the metrics in {} can't be read: {error}", self.folder.display()),
            }
        }
        found.sort_by_key(|(epoch, number, _)| std::cmp::Reverse((*epoch, *number)));
        found.into_iter().map(|(_, _, kept)| kept).collect()
    }

    /// This tenure goes on with that: it stays until something newer is whole.
    pub fn spare(&mut self, kept: &Kept) {
        self.first = 1 - kept.slot;
    }

    /// Keeps `state`; what was kept before stays until that is done.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn keep(&mut self, state: &[u8]) -> io::Result<()> {
        let slot = (self.first + usize::from(self.written % 2 == 1)) % 2;
        let file = match &mut self.files[slot] {
            Some(file) => file,
            none => none.insert(create(&self.folder.join(NAMES[slot]))?),
        };
        self.written += 1;
        let bytes = [&self.epoch.0.to_le_bytes(), &self.written.to_le_bytes(), state].concat();
        file.rewind()?;
        file.write_all(&bytes)
    }

    /// Nobody goes on with what was kept.
    pub fn discard(&self) {
        discard(&self.folder);
    }
}

/// Nobody goes on with what was kept in `folder`.
pub fn discard(folder: &Path) {
    for name in NAMES {
        if let Err(error) = remove(&folder.join(name)) {
            warn!("the metrics in {} can't be removed: {error}", folder.display());
        }
    }
}

fn read(path: &Path) -> io::Result<Option<(Epoch, u64, Vec<u8>)>> {
    let mut bytes = Vec::new();
    open(path)?.take(4 * MAX_INPUT as u64).read_to_end(&mut bytes)?;
    let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    Ok(match (number(0), number(8)) {
        (Some(epoch), Some(number)) => Some((Epoch(epoch), number, bytes.split_off(HEADER))),
        _ => None,
    })
}

/// As it is: what is beyond the end of the state is not looked at.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    }
    options.open(path)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::fs;

    fn states(folder: &Path, epoch: u64) -> Vec<Vec<u8>> {
        MetricsFile::new(folder, Epoch(epoch)).kept().into_iter().map(|kept| kept.state).collect()
    }

    #[test]
    fn a_later_tenure_reads_what_was_kept_last_and_then_what_was_before() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = MetricsFile::new(folder.path(), Epoch(7));
        for state in ["first", "second", "third"] {
            file.keep(state.as_bytes()).unwrap();
        }
        assert_eq!(states(folder.path(), 9), [b"third".to_vec(), b"second".to_vec()]);
        assert!(states(folder.path(), 7).is_empty());
        file.discard();
        assert!(states(folder.path(), 9).is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_tenure_begins_with_is_not_overwritten_first() {
        for writings in [1, 2, 3] {
            let folder = tempfile::tempdir().unwrap();
            let mut file = MetricsFile::new(folder.path(), Epoch(7));
            (0..writings).for_each(|_| file.keep(b"old").unwrap());
            let mut next = MetricsFile::new(folder.path(), Epoch(8));
            let kept = next.kept();
            next.spare(&kept[0]);
            next.keep(b"new").unwrap();
            assert_eq!(states(folder.path(), 9), [b"new".to_vec(), b"old".to_vec()]);
        }
    }

    #[test]
    fn what_is_no_such_file_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(NAMES[0]), b"garbage").unwrap();
        fs::create_dir(folder.path().join(NAMES[1])).unwrap();
        assert!(states(folder.path(), 9).is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn others_can_not_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        MetricsFile::new(folder.path(), Epoch(7)).keep(b"secret").unwrap();
        let mode = fs::metadata(folder.path().join(NAMES[0])).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
