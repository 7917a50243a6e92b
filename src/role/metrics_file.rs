//! The group's metrics as its primary keeps them, so that the next one goes on with them, however this one ends: two files
//! in the group's folder, written in turns and in place by the holder of the lock. What a killed process has written
//! stays; what it was writing when it was killed is torn, and then the other file is whole. (A new file and a rename each
//! time took ten times as long, which a scrape waits for.)
//!
//! ```text
//!  0  epoch u64    8  which writing of the tenure u64    16  a state that knows its own length and checksum
//! ```

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::metrics::limits::MAX_INPUT;
use crate::role::{file, Epoch};

/// The files' names in the group's folder.
pub(super) const NAMES: [&str; 2] = ["metrics.0", "metrics.1"];
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
        let written = file.rewind().and_then(|()| file.write_all(&bytes));
        if written.is_err() {
            // It is torn. On a disk that is full, its room is needed.
            let _ = file.set_len(0);
        }
        written
    }

    /// Nobody goes on with what was kept.
    pub fn discard(&self) {
        discard(&self.folder);
    }
}

/// Nobody goes on with what was kept in `folder`.
pub fn discard(folder: &Path) {
    for name in NAMES {
        if let Err(error) = file::remove(&folder.join(name)) {
            warn!("the metrics in {} can't be removed: {error}", folder.display());
        }
    }
}

fn read(path: &Path) -> io::Result<Option<(Epoch, u64, Vec<u8>)>> {
    let mut bytes = Vec::new();
    file::open(path)?.take(4 * MAX_INPUT as u64).read_to_end(&mut bytes)?;
    let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    Ok(match (number(0), number(8)) {
        (Some(epoch), Some(number)) => Some((Epoch(epoch), number, bytes.split_off(HEADER))),
        _ => None,
    })
}

/// As it is: what is beyond the end of the state is not looked at. What is no file of ours makes room for one.
fn create(path: &Path) -> io::Result<File> {
    match file::open_or_create(path) {
        Ok(file) => Ok(file),
        Err(error) => {
            file::remove(path)?;
            file::create_new(path).map_err(|_| error)
        }
    }
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
    fn a_fifo_in_a_file_s_place_holds_nobody_up_and_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        for name in NAMES {
            file::make_fifo(&folder.path().join(name));
        }
        assert!(states(folder.path(), 9).is_empty());
        let mut file = MetricsFile::new(folder.path(), Epoch(7));
        file.keep(b"first").unwrap();
        file.keep(b"second").unwrap();
        assert_eq!(states(folder.path(), 9), [b"second".to_vec(), b"first".to_vec()]);
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
