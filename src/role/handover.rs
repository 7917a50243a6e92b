//! What a primary that hands over leaves for the next one: a file in the group's folder, written and read by the holder
//! of the lock.
//!
//! It is meant for the very next tenure, soon: a group that was stopped as a whole and is started again later begins
//! with nothing. The file is private to the user and is gone when it has been read, or found unfit.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::role::{file, Epoch};
use crate::time::{now_ms, shared_ms};

/// The file's name in the group's folder.
pub(super) const NAME: &str = "handover";
/// The name under which it is written.
pub(super) const UNFINISHED: &str = "handover.new";
/// For how long it is fit, in ms: a successor that has not come by then does not continue what was.
const FIT_MS: u64 = 60_000;
/// The largest first line.
const MAX_HEAD: usize = 1024;

/// The first line of the file; the state follows it.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    epoch: Epoch,
    written_at: u64,
    /// The same, of the host's clock, where all processes share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<u64>,
    length: u64,
}

/// Leaves `state` for the primary after `epoch`.
///
/// # Errors
/// When the file can't be written: then nothing is left.
pub fn leave(folder: &Path, epoch: Epoch, state: &[u8]) -> io::Result<()> {
    let unfinished = folder.join(UNFINISHED);
    file::remove(&unfinished)?;
    let left = write(&unfinished, epoch, state).and_then(|()| fs::rename(&unfinished, folder.join(NAME)));
    if left.is_err() {
        // Half a file would fill a disk that is full already. What can't be removed is removed by the next primary.
        let _ = file::remove(&unfinished);
    }
    left
}

fn write(path: &Path, epoch: Epoch, state: &[u8]) -> io::Result<()> {
    let head = Head { epoch, written_at: now_ms(), at: shared_ms(), length: state.len() as u64 };
    let mut file = file::create_new(path)?;
    file.write_all(&serde_json::to_vec(&head)?)?;
    file.write_all(b"\n")?;
    file.write_all(state)
}

/// Takes what the primary before `epoch` has left, if there is something and it is fit. Nothing is left after that, so
/// that it is called when nothing can fail any more that a tenure needs. `limit` bounds its size in bytes.
#[must_use]
pub fn take(folder: &Path, epoch: Epoch, limit: usize) -> Option<Vec<u8>> {
    let path = folder.join(NAME);
    let state = match read(&path, epoch, limit) {
        Ok(state) => state,
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            warn!("what the previous primary has left in {} can't be read: {error}", path.display());
            None
        }
    };
    // Unfinished: by a primary that was killed while it wrote it.
    for name in [NAME, UNFINISHED] {
        if let Err(error) = file::remove(&folder.join(name)) {
            warn!("{} can't be removed: {error}", folder.join(name).display());
        }
    }
    state
}

/// Whether something was left in `folder` a short time ago: its group's next primary may be about to come.
#[must_use]
pub fn awaits_the_next(folder: &Path) -> bool {
    let Ok(written) = fs::symlink_metadata(folder.join(NAME)).and_then(|found| found.modified()) else {
        return false;
    };
    let age = written.elapsed().unwrap_or_else(|ahead| ahead.duration());
    age <= Duration::from_millis(FIT_MS)
}

fn read(path: &Path, epoch: Epoch, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let unfit = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut state = Vec::new();
    let most = limit.saturating_add(MAX_HEAD) as u64;
    file::open(path)?.take(most + 1).read_to_end(&mut state)?;
    let end =
        state.iter().take(MAX_HEAD).position(|byte| *byte == b'\n').ok_or_else(|| unfit("no first line"))?;
    let head: Head = serde_json::from_slice(&state[..end])?;
    state.drain(..=end);
    if state.len() as u64 != head.length || state.len() > limit {
        return Err(unfit("it is not whole, or over the limit"));
    }
    let is_next = head.epoch.0.checked_add(1) == Some(epoch.0);
    let age = match (head.at, shared_ms()) {
        // One that lies ahead is of an earlier start of the host.
        (Some(at), Some(now)) => now.checked_sub(at).unwrap_or(u64::MAX),
        _ => now_ms().saturating_sub(head.written_at),
    };
    let is_fresh = age <= FIT_MS;
    Ok((is_next && is_fresh).then_some(state))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_next_primary_takes_it_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        leave(folder.path(), Epoch(7), b"a state\nof two lines").unwrap();
        assert_eq!(take(folder.path(), Epoch(8), 100), Some(b"a state\nof two lines".to_vec()));
        assert_eq!(take(folder.path(), Epoch(8), 100), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_later_primary_does_not_get_it_and_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        leave(folder.path(), Epoch(7), b"old").unwrap();
        assert_eq!(take(folder.path(), Epoch(9), 100), None);
        assert_eq!(take(folder.path(), Epoch(8), 100), None);
    }

    #[cfg(unix)]
    #[test]
    fn its_age_is_none_of_the_wall_clock_and_nothing_of_an_earlier_start_of_the_host_is_taken() {
        let now = shared_ms().unwrap();
        let file = |written_at: u64, at: u64| {
            format!("{{\"epoch\":7,\"written_at\":{written_at},\"at\":{at},\"length\":3}}\nabc")
        };
        let a_day = 86_400_000;
        let cases = [
            (file(now_ms() - a_day, now), true),
            (file(now_ms() + a_day, now), true),
            (file(now_ms(), now.saturating_sub(FIT_MS + 1000)), now < FIT_MS),
            (file(now_ms(), now + a_day), false),
        ];
        for (text, fits) in cases {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(NAME), text).unwrap();
            assert_eq!(take(folder.path(), Epoch(8), 3).is_some(), fits);
        }
    }

    #[test]
    fn what_is_cut_off_old_too_large_or_no_state_at_all_is_left_out() {
        let file = |written_at: u64, state: &str| {
            format!("{{\"epoch\":7,\"written_at\":{written_at},\"length\":3}}\n{state}").into_bytes()
        };
        let cases = [
            (file(now_ms(), "abc"), 3, true),
            (file(now_ms(), "ab"), 3, false),
            (file(now_ms(), "abc"), 2, false),
            (file(now_ms() - FIT_MS - 1000, "abc"), 3, false),
            (b"garbage".to_vec(), 100, false),
            (Vec::new(), 100, false),
            (vec![0xff; 4000], 100, false),
        ];
        for (bytes, limit, fits) in cases {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(NAME), bytes).unwrap();
            assert_eq!(take(folder.path(), Epoch(8), limit).is_some(), fits);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn what_a_killed_primary_has_not_finished_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(UNFINISHED), "half").unwrap();
        assert_eq!(take(folder.path(), Epoch(8), 100), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_fifo_in_its_place_neither_holds_anybody_up_nor_stays() {
        let folder = tempfile::tempdir().unwrap();
        file::make_fifo(&folder.path().join(NAME));
        assert_eq!(take(folder.path(), Epoch(8), 100), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn others_can_not_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        leave(folder.path(), Epoch(7), b"secret").unwrap();
        let mode = fs::metadata(folder.path().join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
