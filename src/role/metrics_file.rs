//! The group's metrics as its primary keeps them, so that the next one goes on with them, however this one ends: a file
//! in the group's folder, written and read by the holder of the lock. What a killed process has written stays.
//!
//! The first line names the tenure; [`Aggregate::to_bytes`](crate::metrics::aggregate::Aggregate::to_bytes) follows.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::handover::{create, open, remove};
use crate::metrics::limits::MAX_INPUT;
use crate::role::Epoch;

/// The file's name in the group's folder.
const NAME: &str = "metrics";
/// The name under which it is written.
const UNFINISHED: &str = "metrics.new";
/// The largest first line.
const MAX_HEAD: usize = 256;

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    epoch: Epoch,
}

/// Keeps `state` of the tenure `epoch`, in the place of what was kept before.
///
/// # Errors
/// When the file can't be written.
pub fn keep(folder: &Path, epoch: Epoch, state: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(UNFINISHED);
    remove(&unfinished)?;
    let mut file = create(&unfinished)?;
    file.write_all(&serde_json::to_vec(&Head { epoch })?)?;
    file.write_all(b"\n")?;
    file.write_all(state)?;
    drop(file);
    fs::rename(&unfinished, folder.join(NAME))
}

/// What a tenure before `epoch` has kept. It stays until it is replaced.
#[must_use]
pub fn kept(folder: &Path, epoch: Epoch) -> Option<Vec<u8>> {
    match read(&folder.join(NAME), epoch) {
        Ok(state) => state,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            warn!("the metrics in {} can't be read, and begin anew: {error}", folder.display());
            None
        }
    }
}

/// Nobody goes on with what was kept.
pub fn discard(folder: &Path) {
    if let Err(error) = remove(&folder.join(NAME)) {
        warn!("the metrics in {} can't be removed: {error}", folder.display());
    }
}

fn read(path: &Path, epoch: Epoch) -> io::Result<Option<Vec<u8>>> {
    let unfit = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut state = Vec::new();
    let most = 4 * MAX_INPUT as u64;
    if open(path)?.take(most + 1).read_to_end(&mut state)? as u64 > most {
        return Err(unfit("they are too large"));
    }
    let end =
        state.iter().take(MAX_HEAD).position(|byte| *byte == b'\n').ok_or_else(|| unfit("no first line"))?;
    let head: Head = serde_json::from_slice(&state[..end])?;
    state.drain(..=end);
    Ok((head.epoch < epoch).then_some(state))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_later_primary_reads_what_was_kept_last() {
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), Epoch(7), b"first").unwrap();
        keep(folder.path(), Epoch(7), b"sec\nond").unwrap();
        assert_eq!(kept(folder.path(), Epoch(9)), Some(b"sec\nond".to_vec()));
        assert_eq!(kept(folder.path(), Epoch(7)), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        discard(folder.path());
        assert_eq!(kept(folder.path(), Epoch(9)), None);
        discard(folder.path());
    }

    #[test]
    fn what_is_no_such_file_is_nothing() {
        for bytes in [&b""[..], b"garbage", &[0xff; 4000], b"{\"epoch\":-1}\nx"] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(NAME), bytes).unwrap();
            assert_eq!(kept(folder.path(), Epoch(9)), None);
        }
    }

    #[cfg(unix)]
    #[test]
    fn others_can_not_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), Epoch(7), b"secret").unwrap();
        let mode = fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
